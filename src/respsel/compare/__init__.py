"""Several recipes, targets or values side by side: does the choice change?"""
