"""Sentences of the notice at the door, in English and German."""

from __future__ import annotations

from typing import Literal

from shopfloor_provisioning.privacy.facts import Facts

Language = Literal["en", "de"]
LANGUAGES: tuple[Language, ...] = ("en", "de")

_TEXTS: dict[Language, dict[str, str]] = {
    "en": {
        "title": "People are counted here",
        "lead": "Cameras count how many people come and go. Nobody is recognised.",
        "who": "Responsible", "contact": "Questions and your rights", "why": "What for",
        "purpose": "Opening hours, staff and shelves that fit how many people come.",
        "what": "What is made of the picture",
        "camera": "1 camera", "cameras": "{count} cameras",
        "numbers": "In this building a computer turns the pictures of {cameras} into numbers, "
        "at once.",
        "no_video": "No video is stored. Of each camera the last picture is kept, in which a "
        "program pixelates people.",
        "clips": "Short clips, in which a program pixelates people, are kept in this building, "
        "at most {days}.",
        "day": "1 day", "days": "{count} days",
        "leaves": "What leaves the building",
        "figures": "Numbers and short alerts. Never a picture, never a sound.",
        "notices": "Staff get alerts in words on their phones and computers.",
        "one_person": "Staff are told when somebody is in a closed area, goes the wrong way or "
        "stays unusually long.",
        "rights": "You may ask what is known of you, object, and complain to a data protection "
        "authority. No number carries a name or a face.",
        "fill": "to be filled in",
    },
    "de": {
        "title": "Hier werden Personen gezählt",
        "lead": "Kameras zählen, wie viele Personen kommen und gehen. Niemand wird erkannt.",
        "who": "Verantwortlich", "contact": "Fragen und Ihre Rechte", "why": "Wozu",
        "purpose": "Damit Öffnungszeiten, Personal und Regale dazu passen, wie viele kommen.",
        "what": "Was aus dem Bild wird",
        "camera": "1 Kamera", "cameras": "{count} Kameras",
        "numbers": "In diesem Gebäude macht ein Rechner aus den Bildern von {cameras} sofort "
        "Zahlen.",
        "no_video": "Es wird kein Video gespeichert. Von jeder Kamera bleibt das letzte Bild, in "
        "dem ein Programm Personen verpixelt.",
        "clips": "Kurze Ausschnitte, in denen ein Programm Personen verpixelt, bleiben in diesem "
        "Gebäude, höchstens {days}.",
        "day": "1 Tag", "days": "{count} Tage",
        "leaves": "Was das Gebäude verlässt",
        "figures": "Zahlen und kurze Meldungen. Nie ein Bild, nie ein Ton.",
        "notices": "Das Personal erhält Meldungen in Worten auf Telefon und Rechner.",
        "one_person": "Das Personal erfährt, wenn jemand in einem gesperrten Bereich ist, in die "
        "falsche Richtung geht oder ungewöhnlich lange bleibt.",
        "rights": "Sie können Auskunft verlangen, widersprechen und sich bei einer "
        "Datenschutzaufsicht beschweren. Keine Zahl trägt einen Namen oder ein Gesicht.",
        "fill": "noch einzutragen",
    },
}  # fmt: skip


def notice_texts(facts: Facts, language: Language) -> dict[str, str]:
    """Return the sentences that are true of this site; one that does not apply is empty."""
    texts = dict(_TEXTS[language])
    cameras = sum(len(device.cameras) for device in facts.devices)
    texts["numbers"] = texts["numbers"].format(cameras=_many(texts, "camera", cameras))
    texts["clips"] = texts["clips"].format(days=_many(texts, "day", facts.longest_clip_days))
    told = any(device.notices_hours is not None for device in facts.devices)
    alone = any(device.single_person_rules for device in facts.devices)
    applies = {
        "no_video": not facts.keeps_clips,
        "clips": facts.keeps_clips,
        "notices": told,
        "one_person": alone,
    }
    return texts | {key: "" for key, is_so in applies.items() if not is_so}


def _many(texts: dict[str, str], what: str, count: float) -> str:
    return texts[what] if count == 1 else texts[f"{what}s"].format(count=f"{count:g}")
