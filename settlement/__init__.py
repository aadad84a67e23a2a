"""Settlement: lines, positions, netting, runs, statements, instructions and disputes."""
