"""Mutated inputs: bytes, texts, settings and names, each the same for the same random generator."""

from collections.abc import Callable, Sequence
from random import Random

SEEDS_OF_TEXT = (
    "Hello there. How are you?\n\nA second paragraph, with 1,000 words; and \u201cquotes\u201d.\n",
    "# Head\n\n* one\n* two\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\n[link](http://x.example/a?b) `code` <br> [^1]\n\n[^1]: note\n",
    "---\ntitle: x\n---\n\n> quote > quote\n\n```\ncode\n```\n\n![alt](img.png) **bold *both* _under_**\n",
    "你好。今天天气很好！\nこんにちは。\n안녕하세요. مرحبا بك، كيف حالك؟\nनमस्ते।\n",
)
SEEDS_OF_YAML = (
    "provider:\n  name: tone\n  voice: sine\n  options: {rate: 8000}\nstitching:\n  gap_ms: 250\n  format: wav\n",
    "quota:\n  plan: null\n  requests_per_minute: 60\n  share: 0.5\nretry: {max_attempts: 3}\nvoices: {A: sine, B: square}\n",
    "engine: local\nchunking:\n  max_characters: 300\ncheck:\n  characters_per_second: [4, 40]\ncatalogue:\n  models: {m: {unit: byte}}\n",
)
SEEDS_OF_OVERRIDES = (
    "provider.name=tone", "provider.options.rate=8000", "stitching.gap_ms=5", "catalogue.models[sonic-3.5].unit=byte",
    "quota.requests_per_minute=60", "check.characters_per_second=[4,40]", "voices={A: sine}", "out=x",
)  # fmt: skip
ENCODINGS = ("utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "latin-1", "cp1252", "gb18030",
             "shift_jis", "euc-kr", "koi8-r", "utf-7")  # fmt: skip
NUMBERS = ("1e999", "-1", "0", "9" * 400, "1" + "0" * 5000, ".nan", "-.inf", "0x7fffffffffffffff", "1_000", "12:30:45")
HOSTILE_WORDS = (
    "\0", "\ufeff", "\u202e", "\u200f\u200e", "\ud800", "\udfff\udbff", "../../x", "/etc/passwd", "CON", "\\\\?\\x",
    "n" * 300, "\x1b]0;x\x07", "${env:HOME}", "${oc.env:PATH}", "${", "\u2028\u2029\f", "e\u0301" * 40, "\u200d" * 40,
    *NUMBERS,
)  # fmt: skip
HOSTILE_YAML = (
    "a: &a [x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b]\n"
    "d: &d [*c,*c,*c,*c,*c,*c,*c,*c,*c]\ne: &e [*d,*d,*d,*d,*d,*d,*d,*d,*d]\nf: &f [*e,*e,*e,*e,*e,*e,*e,*e,*e]\n"
    "g: &g [*f,*f,*f,*f,*f,*f,*f,*f,*f]\nh: [*g,*g,*g,*g,*g,*g,*g,*g,*g]\n",
    "provider: &p {options: *p}\n",
    "provider: &p\n  options: {a: *p}\n",
    "a: *nowhere\n",
    "out: !!python/object/apply:os.system ['touch HARM']\n",
    "out: !!binary 'x'\n",
    "? [a, b]\n: c\n",
    "1: 2\n",
    "provider: {name: tone}\nprovider: {name: hibari}\n",
    "<<: {out: x}\n",
    "<<: x\n",
    "--- a\n--- b\n",
    "2001-01-01: x\n",
    "provider: {options: " + "[" * 3000 + "]" * 3000 + "}\n",
    "{" * 2000,
    "a: " * 2000,
    "null\n",
    "~: ~\n",
    "!!set {a}\n",
    "voices: {null: x}\n",
    "voices: {1: x, true: y, 1.5: z}\n",
    "provider: {options: {1: 2, null: 3}}\n",
    "provider: {name: !!null x}\n",
    "stitching: {gap_ms: 0o777, format: [wav]}\n",
    "quota: {share: 2020-01-01}\n",
)
HOSTILE_MARKDOWN = (
    ">" * 3000 + " deep", "*" * 5000 + "a" + "*" * 5000, "[" * 3000 + "a" + "](" * 3000, "- " * 2000 + "x",
    "![" * 2000 + "x" + "](y)" * 2000, "`" * 3001 + "x" + "`" * 3000, "<" * 4000, "&" * 4000 + ";", "|" * 3000 + "\n" + "|-" * 3000,
    "".join("  " * depth + "* x\n" for depth in range(150)), "\\" * 5001, "[^" * 2000, "_a" * 4000, "~~" * 3000 + "x",
    "---\n" * 2000, "[a]: <" * 500, "&#x110000; &#0; &#xd800;", "a" * 60_000, "\t" * 5000 + "x", "<!--" * 1500,
)  # fmt: skip


def mutated(random: Random, content: bytes, times: int = 4) -> bytes:
    """``content`` after up to ``times`` mutations."""
    for _ in range(random.randint(1, times)):
        content = random.choice(BYTE_MUTATORS)(random, content)
    return content


def text(random: Random, seeds: Sequence[str] = SEEDS_OF_TEXT, extreme: Sequence[str] = ()) -> bytes:
    """A text in some encoding, with hostile words in it, then perhaps damaged."""
    if extreme and random.random() < 0.15:
        words = random.choice(extreme)
    else:
        words = random.choice(seeds) * random.choice((1, 1, 1, 20))
        for _ in range(random.randint(0, 4)):
            at = random.randint(0, len(words))
            words = words[:at] + random.choice(HOSTILE_WORDS) * random.choice((1, 1, 3)) + words[at:]
    content = words.encode(random.choice(("utf-8", *ENCODINGS)), random.choice(("replace", "ignore")))
    if random.random() < 0.2:
        content = words.encode("utf-8", "surrogatepass")
    return content if random.random() < 0.4 else mutated(random, content)


def override(random: Random) -> str:
    """``key=value``, somehow."""
    key, _, value = random.choice(SEEDS_OF_OVERRIDES).partition("=")
    match random.randint(0, 4):
        case 0:
            value = random.choice((*HOSTILE_WORDS, *HOSTILE_YAML))
        case 1:
            value = random.choice(
                ("[", "{", "]", "'", '"', "&a", "*a", "!!x y", "%", "@", "`", ">", "|", "? x", "- ", "\t")
            )
        case 2:
            key = random.choice((key + ".", "." + key, key + "[", key + "[]", key + ".x", "a..b", "", "[x]", key[:-1]))
        case 3:
            key = key + random.choice(HOSTILE_WORDS)
        case _:
            return mutated(random, f"{key}={value}".encode()).decode("utf-8", "surrogateescape")
    return f"{key}={value}"


def _flip(random: Random, content: bytes) -> bytes:
    changed = bytearray(content)
    for _ in range(random.choice((1, 1, 8, 64)) if changed else 0):
        changed[random.randrange(len(changed))] ^= 1 << random.randrange(8)
    return bytes(changed)


def _flip_head(random: Random, content: bytes) -> bytes:
    """In the first bytes, where headers lie."""
    return _flip(random, content[:64]) + content[64:]


def _cut(random: Random, content: bytes) -> bytes:
    return content[: random.randint(0, len(content))]


def _cut_front(random: Random, content: bytes) -> bytes:
    return content[random.randint(0, min(len(content), 64)) :]


def _cut_out(random: Random, content: bytes) -> bytes:
    start = random.randint(0, len(content))
    return content[:start] + content[start + random.randint(1, 64) :]


def _repeat(random: Random, content: bytes) -> bytes:
    start = random.randint(0, len(content))
    return (
        content[:start] + content[start : start + random.randint(1, 200)] * random.choice((2, 9, 200)) + content[start:]
    )


def _insert(random: Random, content: bytes) -> bytes:
    at = random.randint(0, len(content))
    return content[:at] + random.choice(HOSTILE_WORDS).encode("utf-8", "surrogatepass") + content[at:]


def _noise(random: Random, content: bytes) -> bytes:
    at = random.randint(0, len(content))
    return content[:at] + random.randbytes(random.choice((1, 4, 100))) + content[at + 4 :]


def _size(random: Random, content: bytes) -> bytes:
    """A number where a size may stand, that lies."""
    at = 4 * random.randint(0, min(len(content), 256) // 4)
    size = random.choice((0, 1, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, len(content), 2 * len(content) & 0xFFFFFFFF))
    return content[:at] + size.to_bytes(4, random.choice(("little", "big"))) + content[at + 4 :]


BYTE_MUTATORS: tuple[Callable[[Random, bytes], bytes], ...] = (
    _flip, _flip_head, _cut, _cut_front, _cut_out, _repeat, _insert, _noise, _size,
)  # fmt: skip
