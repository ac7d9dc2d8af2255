"""Tables and figures from records of measurements; whatever was not measured is seen to be missing."""
