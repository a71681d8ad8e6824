"""One way of speaking to text models to a file."""
