"""The files of a workspace. All that is kept as state is read and written here."""
