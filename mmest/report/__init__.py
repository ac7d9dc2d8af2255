"""One self-contained page about one or several trainings: how they went, what they find, what they cost."""
