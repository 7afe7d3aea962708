"""What one stage leaves for the next, read back as the things it means."""
