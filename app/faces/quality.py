"""Score the measured components of a face's quality from 0 (worst) to 100, and decide whether it is fit for enrolment.

Components and scores are those of ISO/IEC 29794-5:2025, as its software OFIQ is configured, but for those that say so;
PixelAspectRatio is from ISO/IEC 19794-5. docs/quality.md lists them all.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from app.records import QualityNote

PASSED, WARN, REJECT, NOT_ASSESSED = "passed", "warn", "reject", "not_assessed"
SEVERITY = (REJECT, WARN, PASSED, NOT_ASSESSED)

Values = NDArray[np.float32]  # one for each of COMPONENTS, NaN where not assessed
Limits = Mapping[str, tuple[float, float]]  # component's name -> (warn below this score, reject below this score)


@dataclass(frozen=True, slots=True)
class Component:
    """One component of quality: its name in the standard, in Spanish what is wrong with the photo when the score is low
    (`defect`) and how to take the photo again (`advice`), and the unit of its value."""

    name: str
    defect: str
    advice: str
    unit: str = ""


@dataclass(frozen=True, slots=True)
class Grade:
    """One component of one photo. `value` as measured and `score` (0 to 100) are None if not assessed; see SEVERITY."""

    component: Component
    value: float | None
    score: int | None
    verdict: str


COMPONENTS = (
    Component(
        "SingleFacePresent",
        "En la foto hay otra cara casi tan grande como la de la persona",
        "Tome la foto de nuevo con la persona sola, o recorte a las demás.",
    ),
    Component(
        "InterEyeDistance",
        "La cara sale demasiado pequeña, con pocos píxeles",
        "Tome la foto de nuevo más de cerca, y suba el archivo original: no una copia reducida ni una captura.",
        "px",
    ),
    Component(
        "PixelAspectRatio",
        "La foto parece estirada o aplastada",
        "Tome la foto de nuevo de frente, o suba el archivo original sin cambiarle las proporciones.",
    ),
    Component(
        "HeadPoseRoll",
        "La cabeza está muy ladeada, o la foto está girada",
        "Tome la foto de nuevo con la cabeza derecha, o gire la foto antes de subirla.",
        "°",
    ),
    Component(
        "HeadPoseYaw",
        "La cara mira hacia un lado",
        "Tome la foto de nuevo de frente, con la nariz hacia la cámara.",
        "°",
    ),
    Component(
        "HeadPosePitch",
        "La cara mira demasiado hacia arriba o hacia abajo",
        "Tome la foto de nuevo con la cámara a la altura de los ojos.",
        "°",
    ),
    Component(
        "HeadSize",
        "La cara ocupa una parte demasiado pequeña o demasiado grande de la foto",
        "Tome la foto de nuevo de modo que la cara ocupe cerca de la mitad del alto.",
    ),
    Component(
        "LeftwardCropOfTheFaceImage",
        "La cara está cortada por el borde izquierdo de la foto",
        "Tome la foto de nuevo con la cara completa y en el centro.",
    ),
    Component(
        "RightwardCropOfTheFaceImage",
        "La cara está cortada por el borde derecho de la foto",
        "Tome la foto de nuevo con la cara completa y en el centro.",
    ),
    Component(
        "MarginAboveOfTheFaceImage",
        "La cara está cortada por arriba",
        "Tome la foto de nuevo con toda la cabeza dentro, de la barbilla al pelo.",
    ),
    Component(
        "MarginBelowOfTheFaceImage",
        "La cara está cortada por abajo",
        "Tome la foto de nuevo con toda la cabeza dentro, de la barbilla al pelo.",
    ),
    Component(
        "Sharpness",
        "La cara está borrosa",
        "Tome la foto de nuevo sin moverse, con la cara enfocada y la lente limpia.",
    ),
    Component(
        "IlluminationUniformity",
        "Un lado de la cara tiene mucha más luz que el otro",
        "Tome la foto de nuevo con la luz de frente, no de un lado.",
    ),
    Component(
        "UnderExposurePrevention",
        "La cara está muy oscura",
        "Tome la foto de nuevo con más luz sobre la cara, sin una ventana detrás.",
    ),
    Component(
        "OverExposurePrevention",
        "La cara está quemada por demasiada luz",
        "Tome la foto de nuevo sin sol ni flash directo sobre la cara.",
    ),
    Component(
        "LuminanceMean",
        "La cara está demasiado oscura o demasiado clara",
        "Tome la foto de nuevo con luz suficiente y pareja sobre la cara.",
    ),
    Component(
        "LuminanceVariance",
        "La cara tiene muy poco contraste, o demasiado",
        "Tome la foto de nuevo con luz pareja, sin sombras fuertes ni niebla en la lente.",
    ),
    Component(
        "DynamicRange",
        "La cara casi no tiene matices: está muy oscura, o muy pálida",
        "Tome la foto de nuevo con más luz, natural y pareja, y sin filtros.",
        "bit",
    ),
)
# Components that need more than a box and five landmarks. Their verdict is always NOT_ASSESSED, never PASSED.
UNASSESSED = (
    "EyesOpen",
    "EyesVisible",
    "MouthClosed",
    "MouthOcclusionPrevention",
    "FaceOcclusionPrevention",
    "NoHeadCoverings",
    "ExpressionNeutrality",
    "BackgroundUniformity",
    "NaturalColour",
    "CompressionArtifacts",
)
# Ours: 95 on usual photos; 65 where the distance to the person's other photos begins to grow, 14 where it is 1.5 times.
SHARPNESS = (0.3, 0.05)
STRETCH = (0.18, 0.023)  # ours: 50 where the proportions are off by a fifth, more than in any photo as it was taken


def grade(values: Values, limits: Limits) -> list[Grade]:
    """Grade each of COMPONENTS, then append those that cannot be assessed here."""
    grades = [_grade(component, float(value), limits) for component, value in zip(COMPONENTS, values, strict=True)]
    return grades + [Grade(Component(name, "", ""), None, None, NOT_ASSESSED) for name in UNASSESSED]


def worst(grades: Sequence[Grade]) -> Grade:
    """Return the grade with the most severe verdict; among equals the lowest score, then the first."""
    return min(grades, key=lambda grade: (SEVERITY.index(grade.verdict), grade.score or 0))


def _grade(component: Component, value: float, limits: Limits) -> Grade:
    if math.isnan(value):
        return Grade(component, None, None, NOT_ASSESSED)
    score = round(min(100.0, max(0.0, SCORES[component.name](value))))
    warn_below, reject_below = limits[component.name]
    verdict = REJECT if score < reject_below else WARN if score < warn_below else PASSED
    return Grade(component, value, score, verdict)


def _sigmoid(value: float, middle: float, width: float) -> float:
    return float(0.5 * (1 + math.tanh((value - middle) / (2 * width))))  # never overflows


def _rising(middle: float, width: float) -> Callable[[float], float]:
    """Map a value to a score that rises from 0 to 100 and is 50 at `middle`."""
    return lambda value: 100 * _sigmoid(value, middle, width)


def _facing(degrees: float) -> float:
    return 100 * max(0.0, math.cos(math.radians(degrees))) ** 2


SCORES: Mapping[str, Callable[[float], float]] = {
    "SingleFacePresent": lambda value: 100 * (1 - value),
    "InterEyeDistance": _rising(70, 20),
    "PixelAspectRatio": lambda value: 100 * (1 - _sigmoid(abs(math.log(max(1e-6, value))), *STRETCH)),
    "HeadPoseRoll": _facing,
    "HeadPoseYaw": _facing,
    "HeadPosePitch": _facing,
    "HeadSize": lambda value: 200 * (1 - _sigmoid(abs(value - 0.45), 0, 0.05)),
    "LeftwardCropOfTheFaceImage": _rising(0.9, 0.1),
    "RightwardCropOfTheFaceImage": _rising(0.9, 0.1),
    # Ours: the standard's width of 0.1 scores every close portrait 0, with its chin or without.
    "MarginAboveOfTheFaceImage": _rising(1.4, 0.4),
    "MarginBelowOfTheFaceImage": _rising(1.8, 0.4),
    "Sharpness": _rising(*SHARPNESS),
    "IlluminationUniformity": lambda value: 100 * value**0.3,
    "UnderExposurePrevention": lambda value: 120 * (0.832 - _sigmoid(value, 0.92, 0.05)),
    "OverExposurePrevention": lambda value: 1 / (value + 0.01),
    "LuminanceMean": lambda value: 100 * _sigmoid(value, 0.2, 0.05) * (1 - _sigmoid(value, 0.8, 0.05)),
    "LuminanceVariance": lambda value: 100 * math.sin(60 * value / (60 * value + 1) * math.pi),
    "DynamicRange": lambda value: 12.5 * value,
}


def note_quality(grades: Sequence[Grade]) -> QualityNote:
    """Return a photo's quality as it is stored and reported."""
    lowest = worst(grades)
    components = {
        each.component.name: {
            "value": None if each.value is None else round(each.value, 4),
            "score": each.score,
            "verdict": each.verdict,
        }
        for each in grades
    }
    return QualityNote(lowest.verdict, None if lowest.verdict == PASSED else lowest.component.name, components)
