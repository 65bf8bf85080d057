"""The words of the mini world, by their role in a sentence.

Words in a `HELD_OUT` set never occur in pre-training text; tasks use them as well as the others.
"""

from __future__ import annotations

from dataclasses import dataclass


def _listed(text: str) -> tuple[str, ...]:
    return tuple(text.split())


WOMEN = _listed("anna clara dora emma helen julia laura maria nina rosa sofia vera")
MEN = _listed("adam boris david erik felix hugo jacob leon martin oscar simon victor")
PLACES = _listed(
    "garden market kitchen school station library harbour forest church museum office farm "
    "castle cellar valley village"
)
KINDS = {
    "animal": _listed("dog cat horse sheep goat rabbit donkey"),
    "fruit": _listed("apple pear plum cherry lemon peach melon"),
    "tool": _listed("hammer saw spade axe drill wrench chisel"),
    "vehicle": _listed("car bus train boat truck wagon tractor"),
    "garment": _listed("hat coat scarf shirt jacket dress sweater"),
    "instrument": _listed("piano violin drum flute guitar trumpet harp"),
    "furniture": _listed("chair table desk bench shelf sofa cupboard"),
}
HELD_OUT_PEOPLE = frozenset(_listed("vera victor"))
HELD_OUT_PLACES = frozenset(_listed("village"))
HELD_OUT_OBJECTS = frozenset(words[-1] for words in KINDS.values())

VERBS = (  # (verb, synonym); the past tense is also the participle
    ("found", "discovered"),
    ("bought", "purchased"),
    ("cleaned", "washed"),
    ("fixed", "repaired"),
    ("moved", "shifted"),
    ("noticed", "spotted"),
    ("made", "built"),
    ("wanted", "desired"),
    ("lost", "misplaced"),
    ("hurt", "damaged"),
    ("kept", "preserved"),
    ("held", "gripped"),
)
QUALITIES = (  # ((word, synonym), (antonym, its synonym))
    (("big", "large"), ("small", "little")),
    (("old", "ancient"), ("new", "modern")),
    (("clean", "spotless"), ("dirty", "filthy")),
    (("heavy", "weighty"), ("light", "weightless")),
    (("wet", "damp"), ("dry", "arid")),
    (("cheap", "inexpensive"), ("costly", "expensive")),
    (("hot", "warm"), ("cold", "cool")),
    (("full", "filled"), ("empty", "vacant")),
    (("sturdy", "robust"), ("fragile", "brittle")),
    (("shiny", "glossy"), ("dull", "matt")),
)

JOBS = _listed(
    "baker pilot farmer teacher nurse sailor painter judge cook guard tailor miner lawyer dentist"
)
STATES = _listed("ready late early alone busy calm proud angry")
GIVER_TRAITS = _listed("kind gentle generous patient caring polite")
TAKER_TRAITS = _listed("sick hungry tired lonely injured thirsty")
CARE_VERBS = _listed("helped fed visited nursed guided carried")
PLAIN_VERBS = _listed("called met followed greeted thanked phoned")

DOMAINS = {  # aspects, praise and blame of each kind of review
    "film": (
        _listed("film plot actor scene ending dialogue"),
        _listed("gripping moving witty thrilling"),
        _listed("boring predictable clumsy shallow"),
    ),
    "meal": (
        _listed("meal soup waiter dessert menu sauce"),
        _listed("tasty delicious fresh juicy"),
        _listed("bland stale greasy burnt"),
    ),
    "hotel": (
        _listed("hotel room bed view lobby breakfast"),
        _listed("cosy spacious comfortable restful"),
        _listed("noisy cramped shabby smelly"),
    ),
    "book": (
        _listed("book story chapter author style cover"),
        _listed("absorbing vivid clever poetic"),
        _listed("tedious confusing dreary wordy"),
    ),
    "phone": (
        _listed("phone screen battery camera keyboard speaker"),
        _listed("sharp reliable sleek durable"),
        _listed("faulty blurry flimsy sluggish"),
    ),
}
PRAISE = _listed(
    "great excellent wonderful superb lovely brilliant pleasant charming splendid delightful"
)
BLAME = _listed(
    "awful terrible horrible dreadful nasty lousy unpleasant disappointing dismal miserable"
)
HELD_OUT_OPINIONS = frozenset(_listed("splendid delightful dismal miserable restful smelly"))
DEGREES = _listed("very really quite truly rather")
LOVED = _listed("loved enjoyed liked admired")
HATED = _listed("hated disliked regretted despised")

SENSES = {  # word: ((gloss, cues), (gloss, cues))
    "bank": (("money", "loan cash coin savings"), ("river", "shore water canoe stream")),
    "bat": (("sport", "ball player pitch team"), ("creature", "cave wing night insect")),
    "bark": (("sound", "puppy growl howl kennel"), ("wood", "oak trunk branch twig")),
    "ring": (("jewel", "gold finger bride diamond"), ("bell", "alarm tower noise chime")),
    "spring": (("season", "april flower winter bloom"), ("coil", "metal wire mattress clock")),
    "match": (("flame", "candle lamp stove smoke"), ("game", "goal referee stadium score")),
    "seal": (("sealife", "ocean fish iceberg beach"), ("stamp", "letter wax envelope document")),
    "crane": (("bird", "feather nest marsh beak"), ("machine", "cargo steel crate builder")),
    "palm": (("tree", "coconut desert sand tropics"), ("hand", "wrist thumb glove skin")),
    "pen": (("ink", "paper notebook page pencil"), ("fence", "pig barn hay lamb")),
}

CAUSES = (  # (cause, effect)
    ("the glass fell on the floor", "it broke into pieces"),
    ("the sun went down", "the sky became dark"),
    ("heavy rain came", "the road was flooded"),
    ("the child ate too many sweets", "the child had a stomach ache"),
    ("the fire alarm rang", "everyone left the building"),
    ("the ice melted", "the lake could not hold skaters"),
    ("the wind blew hard", "the kite flew high"),
    ("the baby was sleepy", "the baby took a nap"),
    ("the bottle was shaken", "foam sprayed out"),
    ("the runner trained daily", "the runner won the race"),
    ("the plant got no sunlight", "its leaves turned yellow"),
    ("the tap was left running", "the bath overflowed"),
    ("the engine had no oil", "the motor stopped"),
    ("the thief saw the police", "the thief ran away"),
    ("the student studied hard", "the student passed the exam"),
    ("the milk was left outside", "the milk turned sour"),
    ("the joke was funny", "the crowd laughed"),
    ("the tyre hit a nail", "the tyre went flat"),
    ("the snow fell all day", "the children built a snowman"),
    ("the power failed", "the computer shut off"),
)

SCRIPTS = (  # four events in order, of which someone is the subject
    ("mixed the flour", "kneaded the dough", "heated the oven", "baked the bread"),
    ("packed a suitcase", "called a taxi", "reached the airport", "boarded the plane"),
    ("dug the soil", "planted the seeds", "watered the bed", "picked the carrots"),
    ("filled the bucket", "soaped the sponge", "scrubbed the windows", "rinsed the glass"),
    ("tuned the strings", "opened the songbook", "played the melody", "bowed to applause"),
    ("took a rod", "hooked a worm", "cast the line", "pulled out a trout"),
    ("opened a wallet", "chose a ticket", "entered the cinema", "watched the movie"),
    ("put on boots", "climbed the hill", "reached the summit", "admired the landscape"),
    ("felt a fever", "saw the doctor", "swallowed the medicine", "recovered at home"),
    ("set up an easel", "mixed the colours", "painted a portrait", "framed the picture"),
    ("gathered some logs", "lit the campfire", "cooked the sausages", "slept in a tent"),
    ("bought some wool", "took the needles", "knitted a sock", "wore it proudly"),
)


@dataclass(frozen=True)
class Words:
    """The words a text may use: all, or only those not held out from pre-training."""

    women: tuple[str, ...]
    men: tuple[str, ...]
    places: tuple[str, ...]
    kinds: dict[str, tuple[str, ...]]
    praise: tuple[str, ...]
    blame: tuple[str, ...]
    domains: dict[str, tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]]

    @property
    def people(self) -> tuple[str, ...]:
        return self.women + self.men

    @property
    def objects(self) -> tuple[str, ...]:
        return sum(self.kinds.values(), ())


def _keep(words: tuple[str, ...], held_out: frozenset[str]) -> tuple[str, ...]:
    return tuple(word for word in words if word not in held_out)


HELD_OUT = HELD_OUT_PEOPLE | HELD_OUT_PLACES | HELD_OUT_OBJECTS | HELD_OUT_OPINIONS


def words(*, held_out: bool) -> Words:
    """Returns the words of the mini world, with or without the held-out ones."""
    gone = frozenset() if held_out else HELD_OUT
    return Words(
        women=_keep(WOMEN, gone),
        men=_keep(MEN, gone),
        places=_keep(PLACES, gone),
        kinds={kind: _keep(objects, gone) for kind, objects in KINDS.items()},
        praise=_keep(PRAISE, gone),
        blame=_keep(BLAME, gone),
        domains={
            name: (aspects, _keep(praise, gone), _keep(blame, gone))
            for name, (aspects, praise, blame) in DOMAINS.items()
        },
    )


SUITE_WORDS = words(held_out=True)
CORPUS_WORDS = words(held_out=False)
