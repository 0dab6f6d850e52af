"""What is wrong with a text by its look alone: loops, copies, refusals, leftovers."""
