from xml.etree import ElementTree as ET

import pytest

from benchmarks.svg import Axis, Line, chart

SVG = "{http://www.w3.org/2000/svg}"


def drawn(text: str) -> ET.Element:
    return ET.fromstring(text)


def test_a_chart_names_its_lines_and_stays_inside_the_picture() -> None:
    lines = [Line("a & b", [(0, 0), (10, 900)]), Line("c", [(5, 450)])]
    picture = drawn(chart("t <1>", Axis("seconds"), Axis("events"), lines))
    words = [element.text for element in picture.iter(f"{SVG}text")]
    assert {"t <1>", "a & b", "c", "seconds", "events", "0", "1,000"} <= set(words)
    for dot in picture.iter(f"{SVG}circle"):
        assert 0 <= float(dot.attrib["cx"]) <= 640
        assert 0 <= float(dot.attrib["cy"]) <= 340


def test_equal_figures_give_equal_pictures() -> None:
    line = Line("a", [(1, 2), (3, 4)])
    assert chart("t", Axis("x"), Axis("y"), [line]) == chart("t", Axis("x"), Axis("y"), [line])


def test_a_logarithmic_axis_has_a_tick_at_every_power_and_leaves_zero_out() -> None:
    line = Line("a", [(0, 1), (1, 0.001), (1000, 1)])
    picture = drawn(chart("t", Axis("x", is_log=True), Axis("y", is_log=True), [line]))
    words = [element.text for element in picture.iter(f"{SVG}text")]
    assert {"1", "10", "100", "1,000", "0.001", "0.01", "0.1"} <= set(words)
    assert len(list(picture.iter(f"{SVG}circle"))) == 2


def test_a_chart_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="nothing to show"):
        chart("t", Axis("x"), Axis("y"), [Line("a", [])])
