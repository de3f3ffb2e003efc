// Package ws is the server's side of a websocket (RFC 6455) as far as it is the
// same for every connection of Lodge: the handshake, the heads of frames, masks,
// close frames, and writes that do not wait. It holds no connection and starts
// nothing; how frames are read, queued and paced is their owner's, of whom the
// relay and the message hub are two that share nothing else.
//
//	handshake.go  a request becomes a connection
//	frame.go      the heads of frames, and what breaks the protocol
//	try_*.go      reading and writing without waiting
//
// Extensions and protocols are not spoken.
package ws
