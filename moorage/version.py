"""The version of this Moorage, as `moorage --version`, scenario files and the package give it."""

VERSION = "0.1.0"
