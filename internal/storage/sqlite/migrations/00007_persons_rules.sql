-- +goose Up
-- What each subject's last sign-in gave, and why: JSON of lodge.Binding and of
-- idp.Reason. The groups are in person_groups.
ALTER TABLE person_subjects ADD COLUMN signed_in_at INTEGER NOT NULL DEFAULT 0; -- microseconds
ALTER TABLE person_subjects ADD COLUMN bindings TEXT NOT NULL DEFAULT '[]';
ALTER TABLE person_subjects ADD COLUMN reasons TEXT NOT NULL DEFAULT '[]';

-- +goose Down
ALTER TABLE person_subjects DROP COLUMN reasons;
ALTER TABLE person_subjects DROP COLUMN bindings;
ALTER TABLE person_subjects DROP COLUMN signed_in_at;
