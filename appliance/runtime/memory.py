"""What the garbage collector need not look at."""

import gc


def keep_for_good() -> None:
    """Everything that stands now stays until the end: the collector leaves it alone.

    Its full rounds look at every object there is. Measured with ten LEDs: loading gpiozero made each message 15 % dearer
    without this, and not measurably with it.
    """
    gc.collect()
    gc.freeze()
