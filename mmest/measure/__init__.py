"""What a training step costs: memory, time, parameters; and on what it was measured."""
