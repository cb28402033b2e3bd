"""The parts that the tokens of an event fall into."""

from __future__ import annotations

from .deliveries import UsageEvent

PARTS = (
    *("cache_read_input", "cache_write_input", "cache_write_1h_input", "audio_input"),
    *("image_input", "cache_read_audio_input", "cache_read_image_input", "reasoning_output"),
    *("audio_output", "image_output"),
)


def token_classes(event: UsageEvent) -> dict[str, int]:
    """Tokens of each class, and what is of none because the parts exceed the whole."""
    part = {**dict.fromkeys(PARTS, 0), **event.parts}
    fresh_audio = part["audio_input"] - part["cache_read_audio_input"]
    fresh_image = part["image_input"] - part["cache_read_image_input"]
    read = part["cache_read_input"]
    written = part["cache_write_input"]
    sides = {
        "input": {
            "cache_read_audio_input": part["cache_read_audio_input"],
            "cache_read_image_input": part["cache_read_image_input"],
            "cache_read_input": read
            - part["cache_read_audio_input"]
            - part["cache_read_image_input"],
            "cache_write_1h_input": part["cache_write_1h_input"],
            "cache_write_input": written - part["cache_write_1h_input"],
            "audio_input": fresh_audio,
            "image_input": fresh_image,
            "input": event.input_tokens - read - written - fresh_audio - fresh_image,
        },
        "output": {
            "reasoning_output": part["reasoning_output"],
            "audio_output": part["audio_output"],
            "image_output": part["image_output"],
            "output": event.output_tokens
            - part["reasoning_output"]
            - part["audio_output"]
            - part["image_output"],
        },
    }
    found: dict[str, int] = {}
    for side, classes in sides.items():
        exceeds = min(classes.values()) < 0
        whole = event.input_tokens if side == "input" else event.output_tokens
        for name, tokens in classes.items():
            found[f"class_{name}_tokens"] = 0 if exceeds else tokens
        found[f"unclassed_{side}_tokens"] = whole if exceeds else 0
        found["token_classes_exceed_total"] = max(
            found.get("token_classes_exceed_total", 0), int(exceeds)
        )
    return found
