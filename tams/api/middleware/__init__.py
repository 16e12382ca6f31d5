"""What runs for every request, whatever it asks for."""
