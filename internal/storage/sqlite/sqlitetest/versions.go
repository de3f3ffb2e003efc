package sqlitetest

import (
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
)

const (
	walHeader   = 32
	frameHeader = 24
)

// Versions writes into dir, each into a folder of its own, what a database file was
// after each transaction that its write-ahead log still has, the oldest first, and at
// last what it is. It returns their paths. So whoever copied the files while a server
// was running on them reads what came when.
func Versions(file, dir string) ([]string, error) {
	main, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	wal, err := os.ReadFile(file + "-wal")
	if err != nil && !os.IsNotExist(err) {
		return nil, err
	}
	var all []string
	for _, end := range append(commits(wal), len(wal)) {
		at := filepath.Join(dir, fmt.Sprintf("%05d", len(all)), "lodge.db")
		if err := os.MkdirAll(filepath.Dir(at), 0o700); err != nil {
			return nil, err
		}
		for name, data := range map[string][]byte{at: main, at + "-wal": wal[:end]} {
			if err := os.WriteFile(name, data, 0o600); err != nil {
				return nil, err
			}
		}
		all = append(all, at)
	}
	return all, nil
}

// commits are where the transactions of a write-ahead log end (sqlite.org/fileformat2,
// section 4): after a frame that gives the size of the database, of those that have the
// log's own salt.
func commits(wal []byte) (ends []int) {
	if len(wal) < walHeader {
		return nil
	}
	page, salt := int(binary.BigEndian.Uint32(wal[8:])), string(wal[16:24])
	for at := walHeader; at+frameHeader+page <= len(wal); at += frameHeader + page {
		if string(wal[at+8:at+16]) != salt {
			break
		}
		if binary.BigEndian.Uint32(wal[at+4:]) != 0 {
			ends = append(ends, at+frameHeader+page)
		}
	}
	return ends
}
