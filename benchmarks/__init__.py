"""What the README claims about speed, each runnable, each against a peer or a floor (`make bench`)."""
