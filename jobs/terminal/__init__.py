"""What passes between a command and whoever called it: messages, tables, exit codes, signals."""
