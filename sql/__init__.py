"""SQL as files: migrations, checks and views. They are read through importlib.resources."""
