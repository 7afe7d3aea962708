"""The commands, a theme per module. What is slow to import is imported within them: `dwf --help` needs none of it."""
