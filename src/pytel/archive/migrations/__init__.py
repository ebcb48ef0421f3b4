"""Steps of the archive's schema, applied when a database is opened (`pytel.archive.schema`)."""
