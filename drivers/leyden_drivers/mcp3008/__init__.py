"""MCP3008: eight analogue inputs, 10 bits, over SPI (Microchip)."""

from leyden_drivers.mcp3008.driver import MCP3008, Mcp3008Options

DEVICE = MCP3008
OPTIONS = Mcp3008Options

__all__ = ["DEVICE", "OPTIONS"]
