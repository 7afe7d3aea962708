"""What stages will need, in disk, memory and time, known before anything runs."""
