package booking

import _ "embed"

// Schema is the JSON Schema (2020-12) of catalogue files in Lodge's own format.
//
//go:embed catalogue.schema.json
var Schema []byte
