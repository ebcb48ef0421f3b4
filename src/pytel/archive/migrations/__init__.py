"""Steps of the archive's schema, applied when its database is opened (`pytel.services.database`)."""
