"""Numbers as the program prints them, and as sentences say them."""

import math

NONE = "–"


def rounded(value):
    """To the nearest whole number, halves away from zero."""
    return int(math.copysign(math.floor(abs(value) + 0.5), value))


def plain(value):
    """The shortest text of a number: 85, not 85.0."""
    return str(int(value)) if value == int(value) else repr(float(value))


def digits3(value):
    """Three significant digits, no exponent."""
    size = abs(value)
    if size >= 99.95:
        return f"{value:.0f}"
    if size >= 9.995:
        return f"{value:.1f}"
    return f"{value:.2f}" if size >= 0.095 or size == 0 else f"{value:.3f}"


def human(value):
    """41234 as 41.2k."""
    for unit, suffix in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= unit * 0.9995:
            return digits3(value / unit) + suffix
    return digits3(value)


def human_beside(median, value):
    """With as many decimals as human(median) has, in its unit, which is left out."""
    text = human(median)
    unit = {"G": 1e9, "M": 1e6, "k": 1e3}.get(text[-1], 1.0)
    decimals = len(text.rstrip("GMk").partition(".")[2])
    return f"{value / unit:.{decimals}f}"


def human_half(median, half):
    suffix = human(median)[-1]
    return human_beside(median, half) + (suffix if suffix.isalpha() else "")


def grouped(count):
    """1234567 as 1,234,567."""
    return f"{int(count):,}"


def trimmed(value):
    text = f"{value:.6f}".rstrip("0").rstrip(".")
    return "0" if text == "-0" else text


def short(value):
    """As short as it can be written: swept values."""
    for unit, suffix in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= unit:
            return trimmed(value / unit) + suffix
    return trimmed(value)


def percent(share):
    return f"{trimmed(rounded(share * 1e4) / 1e2)} %"


def of_bytes(value):
    """1024 as 1 KiB."""
    for unit, name in ((1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")):
        if value >= unit:
            return f"{trimmed(rounded(value / unit * 100) / 100)} {name}"
    return f"{trimmed(value)} B"


def tenth(value):
    """To a tenth, without a needless zero."""
    return plain(rounded(value * 10) / 10)


def times(ratio):
    return NONE if ratio is None else f"{ratio:.2f}×"


UNITS = ("zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen "
         "fifteen sixteen seventeen eighteen nineteen twenty").split()
CARDINALS = {word: value for value, word in enumerate(UNITS)} | {
    "thirty": 30, "forty": 40, "fifty": 50, "sixty": 60, "hundred": 100, "thousand": 1000,
    "million": 1_000_000,
}


def word(value):
    """A small whole number as a word."""
    return UNITS[int(value)] if 0 <= value <= 20 else str(int(value))


def duration(seconds):
    """How long something takes, as a sentence says it."""
    minutes = rounded(seconds / 30) / 2 if seconds < 600 else float(rounded(seconds / 60))
    if seconds < 10:
        return "a few seconds"
    if seconds < 52:
        return f"{rounded(seconds / 5) * 5} seconds"
    if minutes <= 1:
        return "a minute"
    if 14 <= minutes <= 16:
        return "a quarter of an hour"
    whole, half = divmod(minutes, 1)
    return f"{word(whole)} and a half minutes" if half else f"{word(whole)} minutes"


def a_machine(cpu):
    """What /proc/cpuinfo calls a CPU, as a sentence names it."""
    known = (("EPYC", "an AMD EPYC"), ("Xeon", "an Intel Xeon"), ("Ryzen", "an AMD Ryzen"))
    for part, name in known:
        if part.lower() in cpu.lower():
            return name
    return f"a machine with {cpu}"
