"""Which pin of the Raspberry Pi Pico is wired to what; hil/bench/wiring.svg draws the same."""

SDA, SCL = 0, 1  # I2C0 as a target; to the Pi's SDA1 and SCL1
HOLD_SDA, HOLD_SCL = 2, 3  # the same lines once more: open drain, pull them low
UART_TX, UART_RX = 4, 5  # UART1; crossed with the Pi's RXD0 and TXD0
SPI_MISO, SPI_CS, SPI_SCK, SPI_MOSI = 8, 9, 10, 11  # by a state machine; to the Pi's SPI0
IN0, IN1 = 14, 15  # the Pi reads these
OUT0, OUT1 = 16, 17  # the Pi drives these
POWER_PI, POWER_SENSORS = 20, 21  # gates of the load switches; high is on
