"""What a command shows: tables, progress and messages."""
