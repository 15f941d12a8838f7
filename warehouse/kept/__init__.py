"""Results of the views, kept in the schema ``results`` and shown under the views' names."""
