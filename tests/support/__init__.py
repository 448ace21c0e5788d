"""What tests stand on: stores with visitors, databases, and a mail server that judges."""
