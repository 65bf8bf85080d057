"""The words of the world, by what they can do in a sentence.

Words in a `HELD_OUT` set never occur in pre-training text; tasks use them beside the others.
"""

from __future__ import annotations

from dataclasses import dataclass

WOMEN = tuple("anna clara dora emma helen julia laura maria nina rosa sofia vera".split())
MEN = tuple("adam boris david erik felix hugo jacob leon martin oscar simon victor".split())
PLACES = tuple(
    "garden market kitchen school station library harbour forest church museum office farm "
    "castle cellar valley village".split()
)
KINDS = {
    "animal": tuple("dog cat horse sheep goat rabbit donkey".split()),
    "fruit": tuple("apple pear plum cherry lemon peach melon".split()),
    "tool": tuple("hammer saw spade axe drill wrench chisel".split()),
    "vehicle": tuple("car bus train boat truck wagon tractor".split()),
    "garment": tuple("hat coat scarf shirt jacket dress sweater".split()),
    "instrument": tuple("piano violin drum flute guitar trumpet harp".split()),
    "furniture": tuple("chair table desk bench shelf sofa cupboard".split()),
}
HELD_OUT_PEOPLE = frozenset("vera victor".split())
HELD_OUT_PLACES = frozenset("village".split())
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

STATES = tuple("ready late early alone busy calm proud angry".split())
GIVER_TRAITS = tuple("kind gentle generous patient caring polite".split())
TAKER_TRAITS = tuple("sick hungry tired lonely injured thirsty".split())
CARE_VERBS = tuple("helped fed visited nursed guided carried".split())
PLAIN_VERBS = tuple("called met followed greeted thanked phoned".split())

DOMAINS = {  # aspects, praise and blame of each kind of review
    "film": (
        tuple("film plot actor scene ending dialogue".split()),
        tuple("gripping moving witty thrilling".split()),
        tuple("boring predictable clumsy shallow".split()),
    ),
    "meal": (
        tuple("meal soup waiter dessert menu sauce".split()),
        tuple("tasty delicious fresh juicy".split()),
        tuple("bland stale greasy burnt".split()),
    ),
    "hotel": (
        tuple("hotel room bed view lobby breakfast".split()),
        tuple("cosy spacious comfortable restful".split()),
        tuple("noisy cramped shabby smelly".split()),
    ),
    "book": (
        tuple("book story chapter author style cover".split()),
        tuple("absorbing vivid clever poetic".split()),
        tuple("tedious confusing dreary wordy".split()),
    ),
    "phone": (
        tuple("phone screen battery camera keyboard speaker".split()),
        tuple("sharp reliable sleek durable".split()),
        tuple("faulty blurry flimsy sluggish".split()),
    ),
}
PRAISE = tuple(
    "great excellent wonderful superb lovely brilliant pleasant charming splendid delightful".split()
)
BLAME = tuple(
    "awful terrible horrible dreadful nasty lousy unpleasant disappointing dismal miserable".split()
)
HELD_OUT_OPINIONS = frozenset("splendid delightful dismal miserable restful smelly".split())
DEGREES = tuple("very really quite truly rather".split())
LOVED = tuple("loved enjoyed liked admired".split())
HATED = tuple("hated disliked regretted despised".split())

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

SCRIPTS = (  # four events in their order, told of someone
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
    """Holds the words a text may use: all of them, or those not held out from pre-training."""

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
    """Returns the words of the world, with or without those held out from pre-training."""
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
