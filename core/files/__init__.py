"""Files of weights as they lie on the disk: read and written one tensor at a time, without any framework."""
