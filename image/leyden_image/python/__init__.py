"""The Python side of the image: locked wheels, this project, one compiled extension, bytecode."""
