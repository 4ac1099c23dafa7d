"""The program run from outside, as an operator would."""
