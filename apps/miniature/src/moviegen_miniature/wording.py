"""The words that captions are made of: many for the same thing, so that a prompt in other words is near one.

None of them is in the paraphrases that try a model's understanding of words (`prompts`); a test holds the two
apart. Nouns stand without their article and begin as they sound: "a" before a consonant, "an" before a vowel.
"""

from __future__ import annotations

from moviegen_miniature.actors import Gait

Words = tuple[str, ...]


def _listed(phrases: str) -> Words:
    """Phrases that stand in a row, with commas between them."""
    return tuple(phrases.split(", "))


SYNONYMS: dict[str, Words] = {
    "helicopter": _listed(
        "whirlybird, copter, rescue helicopter, aircraft with spinning blades, gyrocopter, autogyro"
    ),
    "airplane": _listed(
        "aeroplane, passenger jet, jetliner, boeing, winged aircraft, turboprop, passenger aircraft, "
        "jumbo jet, jet"
    ),
    "rocket": _listed(
        "space shuttle, moon rocket, rocket ship, launch vehicle, projectile, spacecraft with fins, "
        "booster rocket"
    ),
    "saucer": _listed(
        "martian spaceship, extraterrestrial ship, alien spacecraft, alien vessel, disc from outer space, "
        "alien disc, ship full of aliens"
    ),
    "bus": _listed(
        "minibus, omnibus, city bus, passenger bus, shuttle bus, double-decker, transit vehicle, big "
        "yellow van"
    ),
    "tractor": _listed(
        "farm tractor, farm vehicle, agricultural vehicle, farmer's tractor, vehicle with huge wheels, "
        "piece of farming equipment"
    ),
    "train": _listed(
        "steam locomotive, choo-choo, express train, freight train, old train with a chimney, puffing "
        "steam train, intercity train"
    ),
    "sailboat": _listed(
        "boat, brigantine, dinghy, catamaran, sailing ship, vessel with sails, boat with a white sail, "
        "sloop, windjammer"
    ),
    "cow": _listed("bull, ox, calf, dairy cow, milk cow, steer, bovine, holstein, black and white cow"),
    "elephant": _listed(
        "mammoth, tusker, baby elephant, animal with a trunk, mastodon, big grey animal, african "
        "elephant, animal with tusks"
    ),
    "tiger": _listed(
        "big cat, wild cat, tigress, tiger cub, siberian tiger, striped cat, predator with stripes, "
        "orange and black cat"
    ),
    "dinosaur": _listed(
        "t-rex, tyrannosaurus, dino, tyrannosaur, prehistoric lizard, prehistoric monster, extinct "
        "monster, green monster, saurian"
    ),
    "robot": _listed(
        "humanoid, cyborg, automaton, mechanical person, metal person, bot, robotic toy, walking computer"
    ),
    "penguin": _listed(
        "emperor penguin, king penguin, penguin chick, flightless fowl, black and white waddler, fat "
        "penguin, polar waddler"
    ),
    "duck": _listed(
        "duckling, waterfowl, wild duck, duck with a green neck, quacking waterfowl, mallard duck"
    ),
    "turtle": _listed("terrapin, sea turtle, animal with a shell, box turtle, pond turtle, loggerhead"),
    "snail": _listed(
        "garden snail, gastropod, escargot, slimy creature, snail with a spiral shell, spiral shell with "
        "feelers, slowpoke, crawling mollusc"
    ),
    "crab": _listed(
        "hermit crab, king crab, shellfish, red shellfish, animal with pincers, creature with claws, "
        "fiddler crab, ten-legged creature"
    ),
    "frog": _listed("bullfrog, tree frog, amphibian, pond frog, froggy, croaking amphibian, green amphibian"),
    "dolphin": _listed(
        "bottlenose, cetacean, marine mammal, sea mammal, small whale, dolphin calf, friendly cetacean"
    ),
    "fish": _listed("angelfish, clownfish, aquarium fish, reef fish, striped fish, perch, trout, minnow"),
    "octopus": _listed(
        "kraken, cephalopod, octopod, animal with eight arms, creature with tentacles, devilfish, "
        "tentacled creature, eight-armed swimmer"
    ),
    "bee": _listed(
        "bumblebee, stinging insect, buzzing insect, worker bee, queen bee, yellow and black insect, "
        "honey maker"
    ),
    "butterfly": _listed(
        "monarch butterfly, swallowtail, fluttering insect, orange winged insect, insect with colourful "
        "wings, monarch, lepidopteran"
    ),
    "parrot": _listed(
        "parakeet, cockatoo, budgie, cockatiel, talking parrot, lorikeet, colourful pet with feathers, "
        "scarlet parrot, budgerigar"
    ),
    "ghost": _listed(
        "spirit, spook, spectre, apparition, poltergeist, wraith, haunting spirit, spooky white sheet, ghoul"
    ),
    "star": _listed(
        "five-pointed star, shining star, star shape, gleaming star, yellow five-pointed shape, starry "
        "emblem, smiling star"
    ),
    "heart": _listed(
        "love heart, love symbol, symbol of love, heart shape, beating heart, red sign of love, romantic "
        "symbol, cupid's heart"
    ),
    "pumpkin": _listed(
        "squash, carved pumpkin, lantern with a face, carved vegetable, orange vegetable with a face, "
        "grinning pumpkin, orange squash, autumn vegetable"
    ),
    "snowman": _listed(
        "snow sculpture, person made of snow, smiling snowman, person of snowballs, snowy person, cold "
        "fellow with a scarf, white fellow of snow"
    ),
}
"""More names of each actor than the usual ones, which `actors` has: other words, kinds, descriptions."""

LARGE = ("big", "large")
SMALL = ("small", "little")
"""Before the usual names of actors whose size is plain to see."""

GO: dict[Gait, Words] = {
    "fly": ("flies", "moves", "glides", "zooms", "cruises"),
    "drive": ("drives", "rolls", "moves", "cruises", "motors", "speeds"),
    "sail": ("sails", "glides", "moves", "cruises", "is blown"),
    "walk": ("walks", "moves", "strolls", "marches", "strides", "wanders"),
    "waddle": ("waddles", "walks", "moves", "toddles", "wanders"),
    "crawl": ("crawls", "creeps", "moves", "inches", "drags itself"),
    "scuttle": ("scuttles", "crawls", "moves", "scurries", "hurries"),
    "hop": ("hops", "moves", "goes", "skips"),
    "swim": ("swims", "glides", "moves", "paddles", "darts"),
    "float": ("floats", "drifts", "moves", "wafts"),
    "roll": ("rolls", "slides", "moves", "slips", "glides"),
}
"""Going somewhere, by gait, before one of `WAYS`; verbs are in the third person singular."""

GO_ANYHOW = _listed("goes, moves, advances, proceeds, journeys, races, passes, hurries, is going, is moving")
"""The same, of anything."""

STAY: dict[Gait, Words] = {
    "fly": ("hovers in place", "stays still", "hovers without moving"),
    "drive": ("stands still", "is parked", "stays in place"),
    "sail": ("lies still", "stays in place", "rests without moving"),
    "walk": ("stands still", "stays in place", "waits without moving"),
    "waddle": ("stands still", "stays in place", "waits without moving"),
    "crawl": ("stays still", "rests in place", "waits without moving"),
    "scuttle": ("stays still", "stays in place", "waits without moving"),
    "hop": ("sits still", "stays in place", "waits without moving"),
    "swim": ("stays still", "stays in place", "rests without moving"),
    "float": ("hovers in place", "stays still", "hangs still"),
    "roll": ("stands still", "stays in place", "stays still"),
}
"""Standing still, by gait."""

STAY_ANYHOW = _listed(
    "does not move, remains in place, keeps still, is at rest, stays put, holds still, "
    "remains stationary, poses, has stopped, does nothing"
)
"""The same, of anything."""

WAYS: dict[str, Words] = {
    "left": _listed(
        "to the left, left, from right to left, towards the left, leftwards, off to the left, to the "
        "left-hand edge"
    ),
    "right": _listed(
        "to the right, right, from left to right, towards the right, rightwards, off to the right, to the "
        "right-hand edge"
    ),
    "up": _listed(
        "up, upwards, straight up, up to the top, higher and higher, towards the top, vertically up, skywards"
    ),
    "down": _listed(
        "down, downwards, straight down, down to the bottom, lower and lower, towards the bottom, "
        "vertically down, groundwards"
    ),
    "diagonal": _listed(
        "diagonally, along a diagonal, from corner to corner, on a diagonal course, at an angle, on an "
        "inclined path"
    ),
    "circles": _listed("in a circle, in circles, round and round, around and around, along a circular path"),
}
"""Where to, by motion."""

# Going up or down is rising or falling for whatever does not fly or swim.
RISE = ("rises", "goes", "moves", "floats", "levitates", "is lifted")
SINK = ("sinks", "goes", "moves", "floats", "drops", "falls", "is lowered")
"""What does not fly or swim does on its way up, and down; before one of `WAYS`."""

ALONE: dict[str, Words] = {
    "up": _listed("rises, takes off, gains height, rises higher"),
    "down": _listed("sinks, falls, drops, loses height, dives, tumbles, is lowered"),
    "circles": _listed("circles around, does laps, whirls around, swirls around"),
}
"""Motions that are said without a way."""

DOINGS: dict[str, Words] = {
    "grows": _listed(
        "grows larger, gets bigger and bigger, grows, becomes larger, comes closer and grows, enlarges, "
        "increases in size, becomes enormous, comes towards us, gets closer, is magnified, looms larger"
    ),
    "shrinks": _listed(
        "shrinks, gets smaller and smaller, becomes smaller, shrinks away, diminishes, decreases in size, "
        "becomes tiny, vanishes into the distance, gets farther away, withdraws, retreats, fades into the "
        "distance, contracts"
    ),
    "bounces": _listed(
        "bounces, bounces up and down, jumps up and down, keeps bouncing, hops up and down, springs up "
        "and down, jumps again and again, hops on the spot, keeps jumping, bobs up and down, skips up and "
        "down"
    ),
}
"""Motions that have no way."""

PLACES: dict[str, Words] = {
    "sky": _listed(
        "in the blue sky, among the clouds, in front of white clouds, high in the sky, in a cloudy sky, "
        "between the clouds, in the heavens, in the open sky, under fluffy clouds, in the daytime sky, "
        "above fleecy clouds"
    ),
    "field": _listed(
        "over a green field, over green hills, in a green meadow, in front of a green field, in the "
        "grass, on grassland, on a farm, on a grassy plain, on rolling green hills, in farmland, on a "
        "lawn, in a meadow with a tree"
    ),
    "night": _listed(
        "at night, under the moon and stars, in the night sky, in the starry night, by moonlight, at "
        "midnight, under a starry sky, beneath the crescent moon, when the moon is out, in the black "
        "night, on a moonlit night, in the gloom of the night"
    ),
    "desert": _listed(
        "in the desert, over the sand dunes, in front of a pyramid, over a sandy desert, among the dunes, "
        "on hot sand, by the pyramids, in a sandy wasteland, in a hot dry land, in the gobi desert, by "
        "the pharaoh's pyramid"
    ),
    "sea": _listed(
        "over the sea, over the blue ocean, at sea, above the waves, on the water, on the ocean, over "
        "open water, by the seaside, in the bay, on the high seas, on the mediterranean"
    ),
    "snow": _listed(
        "over the snow, in front of snowy mountains, over the snowy hills, in a snowy land, in deep snow, "
        "among snowy peaks, on a ski slope, on a snow-covered plain, in freezing weather, on a frozen "
        "mountain, at the north pole, on a cold december day, in the white snow"
    ),
    "city": _listed(
        "in the city, in front of city buildings, over a street in the city, in a town at dusk, downtown, "
        "among skyscrapers, in front of tall buildings, between the houses, before the skyline, in a big "
        "town, in the streets of chicago, in london, on a city street"
    ),
    "forest": _listed(
        "in the forest, among the trees, in a green forest, in the woods, in the woodland, under the "
        "trees, among fir trees, between tree trunks, in a leafy wood, in the rainforest, among evergreen "
        "trees, in the thicket, among oaks"
    ),
}
"""Sets."""

PANS = {
    -1: ("the camera pans left", "the camera turns left", "the camera swings to the left"),
    1: ("the camera pans right", "the camera turns right", "the camera swings to the right"),
}
"""Pans of the camera, by their direction."""
