"""Beside the server: lights, a button and a console that show the one picture and act through the Controls port; imports `status` only."""
