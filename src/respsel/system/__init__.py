"""What the operating system does: files, folders that appear whole, processes of our own."""
