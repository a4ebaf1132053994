"""The page of a report: for people, at a glance, and it needs and trusts nothing from outside."""

import re
from dataclasses import replace
from html.parser import HTMLParser

from cluster_tts.report import MOST_FAILURES, DocumentLine, Failure, Report, Totals
from cluster_tts.report_page import page

NASTY = '<script src="https://evil.example/x.js">"\'&</script>'
LINE = DocumentLine("d", "whole", 3, 0, 90, 6.0, "documents/d.wav", "ab", None)
FAILURE = Failure("d", 2, "Some text.", "timeout", "no answer", 4)
REPORT = Report(
    run_id="r1", status="whole", exit_code=0, started_at="2026-07-31T00:00:00.000+00:00",
    heartbeat="2026-07-31T00:01:00.000+00:00", message=None, totals=Totals().as_dict(1.0), documents=(LINE,),
)  # fmt: skip
QUOTA = {
    "account": "openai", "limits": {"requests": 120, "window_s": 60.0}, "learned": {"burst": 10.0}, "degraded_to": None,
    "parties": 2, "granted": 200, "refused": 3, "share_used": 0.987, "predicted_s": 152.0, "run_s": 160.2,
    "notes": ["no more than 10 at once, learned from a refusal"],
}  # fmt: skip
SIZES = [
    {"characters_up_to": 100, "requests": 150, "refused": 3, "errors": 0, "error_rate": 0.0},
    {"characters_up_to": 800, "requests": 50, "refused": 0, "errors": 5, "error_rate": 0.1},
]
ASKED = {"requests": 200, "refused": 3, "share_refused": 0.015, "error_rate": 0.0254, "by_size": SIZES}


class Tags(HTMLParser):
    """Collects tags, attributes and text, and checks that tags are closed."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.text = ""
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes.update(name for name, _ in attrs)
        if tag != "meta":
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def test_a_page_shows_whatever_documents_are_called_and_say() -> None:
    """Names, texts and messages are others' words: they are shown, never obeyed."""
    html = page(
        replace(
            REPORT,
            run_id=NASTY,
            message=NASTY,
            documents=(replace(LINE, name=NASTY, error=NASTY), replace(LINE, path=NASTY)),
            failures=(Failure(NASTY, 0, NASTY, NASTY, NASTY, 1),),
        )
    )
    tags = Tags(html)
    assert "script" not in tags.tags
    assert tags.open == []
    assert tags.text.count(NASTY) == 9


def test_a_page_has_nothing_from_outside() -> None:
    html = page(replace(REPORT, failures=(FAILURE,), message="all is well"))
    assert not re.search(r"https?:|//|@import|url\(", html)
    tags = Tags(html)
    assert not tags.tags & {"script", "link", "img", "iframe", "object", "embed"}
    assert not tags.attributes & {"src", "href", "srcset", "onload", "onclick"}


def test_a_page_says_what_is_missing_and_why_only_where_something_is() -> None:
    assert "What is missing" not in page(REPORT)
    html = page(replace(REPORT, failures=(FAILURE,)))
    assert "What is missing" in html
    assert "Some text." in html


def test_long_texts_are_cut_on_the_page_only() -> None:
    report = replace(REPORT, failures=(replace(FAILURE, text="y" * 500),))
    assert "y" * 200 in page(report)
    assert "y" * 201 not in page(report)
    assert report.as_dict()["failures"][0]["text"] == "y" * 500


def test_a_page_of_nothing_can_be_made() -> None:
    assert Tags(page(replace(REPORT, documents=(), totals={}))).open == []


def test_a_page_names_a_thousand_failures_and_no_more() -> None:
    assert page(replace(REPORT, failures=(FAILURE,) * (MOST_FAILURES + 5))).count("no answer") == MOST_FAILURES


# -- the quota --------------------------------------------------------------------------------------------------------


def test_the_headlines_are_the_share_of_the_quota_used_and_the_share_of_requests_refused() -> None:
    text = Tags(page(replace(REPORT, quota=QUOTA, totals={**REPORT.totals, **ASKED}))).text
    assert "share of the quota used98.7%" in text
    assert "of the limits set" not in text
    assert "share of requests refused1.5%" in text
    assert "predicted / took2:32 / 2:40" in text


def test_where_less_was_used_of_the_limits_that_were_set_that_is_a_headline_too() -> None:
    text = Tags(page(replace(REPORT, quota={**QUOTA, "share_of_named": 0.27}))).text
    assert "share of the limits set used27.0%" in text


def test_limits_and_what_was_learned_and_said_of_them_are_told() -> None:
    text = Tags(page(replace(REPORT, quota=QUOTA, totals={**REPORT.totals, **ASKED}))).text
    assert "limits in force120 requests in 60 s" in text
    assert "learnedquota.burst=10" in text
    assert "no more than 10 at once" in text
    assert "limiters that share the account2" in text
    assert "200, 3 refused (1.5%); errors in 2.5% of the others" in text


def test_where_nobody_s_quota_was_needed_nothing_is_told_of_it() -> None:
    text = Tags(page(REPORT)).text
    assert "Quota" not in text
    assert "share" not in text


def test_errors_are_told_by_size_of_chunk_and_by_document_where_there_were_any() -> None:
    assert "By size" not in page(REPORT)
    troubled = replace(
        REPORT, totals={**REPORT.totals, **ASKED}, documents=(replace(LINE, requests=200, refused=3, errors=5),)
    )
    text = Tags(page(troubled)).text
    assert "100" + "150" + "3" + "0" + "0%" + "800" + "50" + "0" + "5" + "10.0%" in text
    assert "whole" + "3" + "" + "90" + "0:06" + "200" + "3" + "5" + "documents/d.wav" in text


def test_what_a_limiter_says_is_shown_and_never_obeyed() -> None:
    html = page(replace(REPORT, quota={**QUOTA, "account": NASTY, "notes": [NASTY]}))
    assert "script" not in Tags(html).tags
    assert Tags(html).text.count(NASTY) == 2
