"""Kinds of `field_pictures` with other things in the picture: posters, rooms, badges, forms, templates."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice

import cv2
import numpy as np

from app.records import Image
from benchmarks.field_album import Album, Case, Missing, Portrait, as_jpeg, must_refuse, must_store
from benchmarks.field_backdrop import backdrop, badge, digital_form, form, paste, silhouette

SCENE_PX = (900, 1200)
POSTER_FACES_PX = (90, 110, 130)  # high
OWN_FACE_PX = 380
NOT_THEIRS = {"not_a_portrait", "no_face", "low_quality", "face_too_small"}
COVERS = ("grey", "hair", "white")
CORNERS = ((0.0, 0.0), (1.0, 0.0), (0.0, 0.4), (1.0, 0.4))  # places of the poster: fractions of the free space
ROOMY_FACES, ROOMY_PLACES = (0.14, 0.2, 0.3), (0.3, 0.5, 0.7)  # of the picture's width
ROOMY_HEIGHT = 0.38  # where the face is, of the picture's height
BADGE_FACES = (0.2, 0.25, 0.3)  # of the card's height
FORM_FACES = (0.09, 0.12, 0.15)  # of the page's width
PAGE_PX, CARD_PX = (1240, 1754), (1300, 820)
COLOURS = ((150, 70, 20), (40, 110, 40), (30, 30, 140))
PEOPLE_ON_A_FORM, SHARED_PAIRS, PLACEHOLDERS = 8, 2, 5


def others_faces(album: Album) -> Iterator[Case]:
    """Cover or over-expose the person's own face and put another one on a poster behind."""
    for number, portrait in enumerate(album.portraits):
        for step in range(2):
            cover = COVERS[(number + step) % len(COVERS)]
            other = album.another(portrait, 3 * number + step)
            scene = backdrop(*SCENE_PX, seed=number)
            _stand(scene, portrait, cover, number)
            _hang(scene, other, number + step)
            yield must_refuse(f"{portrait.file}-{cover}-{other.file}.jpg", as_jpeg(scene), NOT_THEIRS)


def _stand(scene: Image, portrait: Portrait, cover: str, seed: int) -> None:
    """Put the person with the covered face into the lower middle of the scene."""
    bust = portrait.bust(OWN_FACE_PX, 2.0)
    image = _covered(bust, cover, seed)
    paste(scene, image, (scene.shape[1] - image.shape[1]) // 2, scene.shape[0] - image.shape[0])


def _covered(bust: Portrait, cover: str, seed: int) -> Image:
    x, y, w, h = bust.box
    middle, axes = (round(x + w / 2), round(y + 0.45 * h)), (round(0.72 * w), round(0.75 * h))
    height, width = bust.image.shape[:2]
    generator = np.random.default_rng(seed)
    if cover == "grey":
        paint = np.full(bust.image.shape, 140.0)
    elif cover == "hair":
        strands = cv2.resize(generator.normal(0, 14, (6, width)), (width, height), interpolation=cv2.INTER_CUBIC)
        paint = np.array([30.0, 42.0, 60.0]) + strands[..., None]
    else:
        paint = np.full(bust.image.shape, 255.0)
    mask = np.zeros((height, width), np.float32)
    cv2.ellipse(mask, middle, axes, 0, 0, 360, 1.0, cv2.FILLED, cv2.LINE_AA)
    mask = cv2.GaussianBlur(mask, (0, 0), 0.05 * w if cover == "white" else 2)[..., None]
    return np.clip(bust.image * (1 - mask) + paint * mask, 0, 255).astype(np.uint8)


def _hang(scene: Image, other: Portrait, number: int) -> None:
    """Put a poster with another person's face near a corner, beside the standing person's head."""
    poster = other.bust(POSTER_FACES_PX[number % len(POSTER_FACES_PX)], 1.8).image
    framed = cv2.copyMakeBorder(poster, 8, 8, 8, 8, cv2.BORDER_CONSTANT, value=(235, 240, 245))
    across, down = CORNERS[number % len(CORNERS)]
    left = 15 + across * (scene.shape[1] - framed.shape[1] - 30)
    paste(scene, np.asarray(framed, np.uint8), round(left), round(15 + down * 200))


def roomy(album: Album) -> Iterator[Case]:
    """Make portraits with much room around the face, which is anywhere reasonable."""
    for number, portrait in enumerate(album.portraits):
        for step in range(2):
            share, place = ROOMY_FACES[(number + step) % 3], ROOMY_PLACES[(number // 3 + step) % 3]
            content = as_jpeg(_with_room(portrait, share, place))
            yield must_store(f"{portrait.file}-{share}-at-{place}.jpg", content, portrait)


def _with_room(portrait: Portrait, share: float, place: float) -> Image:
    """Scale and move the photo; its blurred border pixels fill what it does not cover."""
    width, height = SCENE_PX
    small = portrait.resized(share * width / portrait.box[2])
    x, y, w, h = small.box
    move = np.array([[1, 0, place * width - x - w / 2], [0, 1, ROOMY_HEIGHT * height - y - h / 2]])
    scene = cv2.warpAffine(small.image, move, SCENE_PX, borderMode=cv2.BORDER_REPLICATE)
    inside = cv2.warpAffine(np.ones(small.image.shape[:2], np.float32), move, SCENE_PX)
    inside = cv2.erode(inside, np.ones((9, 9)), borderValue=1.0)
    soft, mask = cv2.GaussianBlur(scene, (0, 0), 20), cv2.GaussianBlur(inside, (0, 0), 4)[..., None]
    return (scene * mask + soft * (1 - mask)).astype(np.uint8)


def badges_and_forms(album: Album) -> Iterator[Case]:
    """Make cards with the photo at the left, and white pages with a passport photo in the corner."""
    for number, portrait in enumerate(album.portraits):
        share = BADGE_FACES[number % 3]
        card = _badge(portrait, share, COLOURS[number // 3 % 3])
        yield must_store(f"{portrait.file}-badge-{share}.jpg", as_jpeg(card), portrait)
        share = FORM_FACES[(number + 1) % 3]
        yield must_store(f"{portrait.file}-form-{share}.jpg", as_jpeg(_form(portrait, share)), portrait)


def _badge(portrait: Portrait, share: float, colour: tuple[int, int, int]) -> Image:
    return badge(portrait.bust(share * CARD_PX[1]).image, portrait.person, *CARD_PX, colour)


def _form(portrait: Portrait, share: float, heads: float = 2.4) -> Image:
    width_px = share * PAGE_PX[0]
    return form(portrait.bust(width_px * portrait.box[3] / portrait.box[2], heads).image, portrait.person, *PAGE_PX)


def template(album: Album) -> Iterator[Case | Missing]:
    """Put many people into the same frame, one photo into two frames or qualities, and use a placeholder picture."""
    frames = {"page": _page_with_head, "form": _digital_form, "badge": _large_badge}
    needed = len(frames) * PEOPLE_ON_A_FORM + 2 * SHARED_PAIRS
    if len(album.portraits) < needed:
        yield Missing(f"{needed} photos are needed, each of which is shown once")
        return
    people = iter(album.some(needed))
    for name, frame in frames.items():
        for portrait in islice(people, PEOPLE_ON_A_FORM):
            yield must_store(f"{portrait.file}-same-{name}.jpg", as_jpeg(frame(portrait)), portrait)
    yield from _shared(list(people))
    for number in range(PLACEHOLDERS):
        content = as_jpeg(silhouette(), 70 + 5 * number)
        yield must_refuse(f"placeholder-{number}.jpg", content, {"placeholder_photo"})


def _shared(portraits: Sequence[Portrait]) -> Iterator[Case]:
    """Give each photo to two members: the first photos saved in two qualities, the others in two frames."""
    for portrait in portraits[:SHARED_PAIRS]:
        for quality in (60, 95):
            content = as_jpeg(portrait.image, quality)
            yield must_refuse(f"{portrait.file}-quality{quality}.jpg", content, {"shared_photo"})
    for portrait in portraits[SHARED_PAIRS:]:
        for frame in (1, 2):
            content = as_jpeg(_digital_form(portrait, frame))
            yield must_refuse(f"{portrait.file}-frame{frame}.jpg", content, {"shared_photo"})


def _large_badge(portrait: Portrait) -> Image:
    """Make a badge whose face is nearly half of the card's height."""
    return badge(portrait.bust(0.45 * CARD_PX[1], 1.5).image, portrait.file, *CARD_PX, COLOURS[0])


def _page_with_head(portrait: Portrait) -> Image:
    """Make a page with a small photo and dark bars: nearly all of the page is the same for every member."""
    page = _form(portrait, FORM_FACES[0], 1.6)
    page[PAGE_PX[1] // 3 : PAGE_PX[1] // 2] = COLOURS[0]
    page[-PAGE_PX[1] // 10 :] = COLOURS[0]
    return page


def _digital_form(portrait: Portrait, frame: int = 0) -> Image:
    """Make a digital form whose face is a quarter of the page's height."""
    return digital_form(portrait.bust(225, 2.1).image, portrait.file, frame)
