package handin

import (
	"archive/zip"
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strconv"
	"strings"
	"time"

	"github.com/lodge-gateway/lodge"
	"github.com/lodge-gateway/lodge/messaging"
)

// WriteZip writes everything that was handed in: a folder a person, named surname
// first, and manifest.csv. Whoever replaces their work meanwhile is left with what
// could still be read, and the manifest says so, as it does of a file that was damaged
// where it is kept: beside what could be read of that lies NAME.not-whole. After an
// error what was written is no whole archive, and must not look like one.
func (d *Desk) WriteZip(ctx context.Context, tenant lodge.Tenant, id string, w io.Writer) error {
	all, err := d.All(ctx, tenant, id)
	if err != nil {
		return err
	}
	out := zip.NewWriter(w)
	rows := [][]string{{"folder", "person", "name", "handed_in_at", "days_late", "file", "size", "sha256", "whole"}}
	folders := map[string]bool{"manifest.csv": true}
	for _, one := range all {
		if one.At.IsZero() || one.Erased {
			continue
		}
		folder := unique(folders, folderName(one))
		for _, f := range (contents{Text: one.Text, Files: one.Files}).all() {
			r, err := d.openOf(ctx, tenant, id, one, f)
			whole := "yes"
			switch {
			case errors.Is(err, fs.ErrNotExist):
				whole = "no: replaced meanwhile"
			case errors.Is(err, errNotWhole):
				whole = "no: damaged where it is kept"
			case err != nil:
				return err
			default:
				err := add(out, folder+"/"+f.Name, one.At, r)
				if errors.Is(err, errNotWhole) {
					whole = "no: damaged where it is kept"
					err = add(out, folder+"/"+f.Name+".not-whole", one.At, io.NopCloser(strings.NewReader("")))
				}
				if err != nil {
					return err
				}
			}
			rows = append(rows, []string{
				folder, string(one.Person), one.Name, stamp(one.At), strconv.Itoa(one.DaysLate), f.Name, strconv.FormatInt(f.Size, 10), f.SHA256, whole,
			})
		}
	}
	manifest, err := out.CreateHeader(&zip.FileHeader{Name: "manifest.csv", Method: zip.Deflate, Modified: d.clock.Now()})
	if err != nil {
		return err
	}
	if err := writeCSV(manifest, rows); err != nil {
		return err
	}
	return out.Close()
}

// add copies a file into a zip and closes it.
func add(out *zip.Writer, name string, at time.Time, r io.ReadCloser) error {
	to, err := out.CreateHeader(&zip.FileHeader{Name: name, Method: zip.Deflate, Modified: at})
	if err == nil {
		_, err = io.Copy(to, r)
	}
	return errors.Join(err, r.Close())
}

// folderName names a person's folder: surname, then the rest of the name.
func folderName(w Work) string {
	name := w.Name
	if w.Surname != "" {
		name = w.Surname + "-" + strings.TrimSpace(strings.TrimSuffix(w.Name, w.Surname))
	}
	return strings.Trim(cleanName(strings.Trim(name, "- ")), "- ")
}

// WriteCSV writes who handed in what and was graded how, one line a person under a
// heading (RFC 4180, UTF-8, times RFC 3339 in UTC), without anything that a
// spreadsheet would take for a formula, and without people who were erased. Missing
// are those of whom the caller knows that they handed in nothing.
func (d *Desk) WriteCSV(ctx context.Context, tenant lodge.Tenant, id string, missing []Hander, w io.Writer) error {
	all, err := d.All(ctx, tenant, id)
	if err != nil {
		return err
	}
	known := map[lodge.PersonID]Hander{}
	for _, one := range missing {
		known[one.Person] = one
	}
	rows := [][]string{{"person", "surname", "name", "handed_in_at", "days_late", "version", "files", "sha256", "points", "counted", "words"}}
	for _, one := range all {
		if one.Erased {
			continue
		}
		if one.At.IsZero() {
			one.Name, one.Surname = known[one.Person].Name, known[one.Person].Surname
		}
		delete(known, one.Person)
		row := []string{string(one.Person), one.Surname, one.Name, "", "", "", "", "", "", "", ""}
		if !one.At.IsZero() {
			copy(row[3:], []string{stamp(one.At), strconv.Itoa(one.DaysLate), strconv.Itoa(one.Version), strconv.Itoa(len(one.Files)), one.SHA256})
		}
		if g := one.Grade; g != nil {
			copy(row[8:], []string{points(g.Points), points(g.Counted), g.Words})
		}
		rows = append(rows, row)
	}
	for _, one := range missing {
		if _, still := known[one.Person]; still {
			rows = append(rows, []string{string(one.Person), one.Surname, one.Name, "", "", "", "", "", "", "", ""})
		}
	}
	return writeCSV(w, rows)
}

func stamp(at time.Time) string { return at.UTC().Format(time.RFC3339) }

func points(p float64) string { return strconv.FormatFloat(p, 'f', -1, 64) }

func writeCSV(w io.Writer, rows [][]string) error {
	out := csv.NewWriter(w)
	out.UseCRLF = true
	for _, row := range rows {
		for i := range row {
			row[i] = messaging.Inert(row[i])
		}
	}
	if err := out.WriteAll(rows); err != nil {
		return fmt.Errorf("handin: csv: %w", err)
	}
	return nil
}
