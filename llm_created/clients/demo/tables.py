"""What the demo writer knows: small tables of true facts, and words for sentences of sentiment and of topics.

In a table, `;` ends a group whose head stands before the `:`, `,` ends an entry, and `/` separates columns, the
subject first; `&` joins several true values, and `-` leaves out a value that is disputed or not needed. A head that
ends in `+` gives its subjects an article. In a template, `{s}` is the subject, `{o}` the object, `{n}` a first name,
and the verb in `[is]` or `[uses/does/use]` moves to the front to make a question.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from functools import cache
from typing import NamedTuple

_TABLES = {
    "country": """Europe: France/Paris/French/euro, Germany/Berlin/German/euro, Italy/Rome/Italian/euro,
Spain/Madrid/Spanish/euro, Portugal/Lisbon/Portuguese/euro, Austria/Vienna/German/euro, Greece/Athens/Greek/euro,
Ireland/Dublin/English/euro, Finland/Helsinki/Finnish/euro, Latvia/Riga/Latvian/euro, Croatia/Zagreb/Croatian/euro, the
Netherlands/Amsterdam/Dutch/euro, Poland/Warsaw/Polish/zloty, the Czech Republic/Prague/Czech/Czech koruna,
Hungary/Budapest/Hungarian/forint, Romania/Bucharest/Romanian/Romanian leu, Sweden/Stockholm/Swedish/Swedish krona,
Norway/Oslo/Norwegian/Norwegian krone, Denmark/Copenhagen/Danish/Danish krone, Iceland/Reykjavik/Icelandic/Icelandic
krona, Switzerland/Bern/German/Swiss franc, the United Kingdom/London/English/pound sterling,
Ukraine/Kyiv/Ukrainian/hryvnia; Asia: Japan/Tokyo/Japanese/yen, China/Beijing/Mandarin/yuan, South
Korea/Seoul/Korean/South Korean won, North Korea/Pyongyang/Korean/North Korean won, India/New Delhi/-/Indian rupee,
Thailand/Bangkok/-/baht, Vietnam/Hanoi/Vietnamese/dong, Cambodia/Phnom Penh/Khmer/riel,
Mongolia/Ulaanbaatar/Mongolian/tugrik, Iran/Tehran/Persian/Iranian rial, Iraq/Baghdad/Arabic/Iraqi dinar, Saudi
Arabia/Riyadh/Arabic/Saudi riyal, Lebanon/Beirut/Arabic/Lebanese pound, the Philippines/Manila/-/Philippine peso;
Africa: Kenya/Nairobi/-/Kenyan shilling, Ethiopia/Addis Ababa/-/birr, Ghana/Accra/-/cedi, Nigeria/Abuja/-/naira,
Senegal/Dakar/-/West African CFA franc, Angola/Luanda/-/kwanza, Morocco/Rabat/Arabic/Moroccan dirham,
Algeria/Algiers/Arabic/Algerian dinar, Zambia/Lusaka/-/Zambian kwacha, Rwanda/Kigali/Kinyarwanda/Rwandan franc; North
America: Canada/Ottawa/English/Canadian dollar, Cuba/Havana/Spanish/Cuban peso, Haiti/Port-au-Prince/Haitian
Creole/gourde, Costa Rica/San José/Spanish/Costa Rican colón, the Dominican Republic/Santo Domingo/Spanish/Dominican
peso; South America: Brazil/Brasília/Portuguese/Brazilian real, Argentina/Buenos Aires/Spanish/Argentine peso,
Chile/Santiago/Spanish/Chilean peso, Peru/Lima/Spanish/sol, Colombia/Bogotá/Spanish/Colombian peso,
Uruguay/Montevideo/Spanish/Uruguayan peso, Venezuela/Caracas/Spanish/bolívar; Oceania:
Australia/Canberra/English/Australian dollar, New Zealand/Wellington/English/New Zealand dollar, Fiji/Suva/-/Fijian
dollar, Samoa/Apia/Samoan/tala""",
    "element": """hydrogen/H/1, helium/He/2, lithium/Li/3, beryllium/Be/4, boron/B/5, carbon/C/6, nitrogen/N/7,
oxygen/O/8, fluorine/F/9, neon/Ne/10, sodium/Na/11, magnesium/Mg/12, aluminium/Al/13, silicon/Si/14, phosphorus/P/15,
sulfur/S/16, chlorine/Cl/17, argon/Ar/18, potassium/K/19, calcium/Ca/20, scandium/Sc/21, titanium/Ti/22, vanadium/V/23,
chromium/Cr/24, manganese/Mn/25, iron/Fe/26, cobalt/Co/27, nickel/Ni/28, copper/Cu/29, zinc/Zn/30, gallium/Ga/31,
germanium/Ge/32, arsenic/As/33, selenium/Se/34, bromine/Br/35, krypton/Kr/36, rubidium/Rb/37, strontium/Sr/38,
yttrium/Y/39, zirconium/Zr/40, niobium/Nb/41, molybdenum/Mo/42, technetium/Tc/43, ruthenium/Ru/44, rhodium/Rh/45,
palladium/Pd/46, silver/Ag/47, cadmium/Cd/48, indium/In/49, tin/Sn/50, antimony/Sb/51, tellurium/Te/52, iodine/I/53,
xenon/Xe/54, caesium/Cs/55, barium/Ba/56""",
    "animal": """a mammal/plants+: cow/calf, horse/foal, sheep/lamb, goat/kid, rabbit, deer/fawn&calf, giraffe/calf,
zebra/foal, elephant/calf, koala/joey, kangaroo/joey, camel/calf, beaver/kit, buffalo/calf, gorilla, hare/leveret; a
mammal/other animals+: lion/cub, tiger/cub, wolf/pup&cub, leopard/cub, seal/pup, otter/pup, lynx, walrus, polar
bear/cub, dolphin/calf, cat/kitten; a mammal/-+: pig/piglet, brown bear/cub, raccoon, chimpanzee, hedgehog, badger,
rat, bat; a bird/other animals+: eagle/eaglet&chick, owl/owlet&chick, falcon, vulture, penguin/chick, pelican, heron,
swift, kingfisher; a bird/-+: crow, chicken/chick, ostrich, magpie, duck/duckling&chick, swan/cygnet&chick, robin,
goose/gosling&chick; a reptile/other animals+: crocodile, python, cobra, gecko; a reptile/plants+: tortoise; an
amphibian/other animals+: frog/tadpole, toad/tadpole, salamander; a fish/other animals+: shark/pup, pike, tuna,
barracuda; a fish/-+: goldfish, sea horse; an insect/other animals+: dragonfly, praying mantis; an insect/plants+:
grasshopper, butterfly/caterpillar, honeybee; an insect/-+: cockroach, ant, beetle; an arachnid/other animals+:
spider/spiderling, scorpion; a mollusc/other animals+: octopus, squid; a mollusc/-+: oyster, slug, mussel; a
crustacean/-+: crab, lobster, shrimp""",
    "thing": """a kitchen+: kettle/boil water, toaster/brown slices of bread, colander/drain cooked pasta, ladle/serve
soup, whisk/beat eggs, rolling pin/flatten dough, corkscrew/open wine bottles; a bathroom+: toothbrush/clean teeth,
razor/shave a beard; an office+: stapler/fasten sheets of paper together; a bedroom+: alarm clock/wake someone up,
pillow/support a sleeper's head; a garden+: lawnmower/cut grass, watering can/water flowers, rake/gather fallen leaves;
a workshop+: hammer/drive in nails, screwdriver/turn screws, handsaw/cut planks, vice/hold a piece of wood still,
spanner/tighten nuts and bolts; a hospital+: scalpel/make cuts in surgery, stethoscope/listen to a heartbeat; a
laboratory+: microscope/look at cells, Bunsen burner/heat chemicals over a flame; a ship+: anchor/hold a boat in place,
rudder/steer a boat, lifeboat/rescue people at sea; an airport+: control tower/guide planes from the ground; a
cowshed+: milking machine/milk cows; a theatre+: spotlight/light up one actor; a car+: steering wheel/turn a car left
or right; a fire station+: fire engine/bring a crew to a burning house; -+: tractor/pull a plough, syringe/inject
medicine, thermometer/measure temperature, umbrella/keep off the rain, padlock/lock a gate, needle/stitch cloth,
torch/light the way in the dark, ladder/reach high places, camera/take photographs, broom/sweep the floor,
comb/untangle hair, compass/find north, eraser/remove pencil marks""",
    "job": """an operating theatre+: surgeon/operates on patients; a restaurant+: waiter/serves meals at tables; a
bakery+: baker/bakes bread; a school+: teacher/gives lessons to pupils; a court+: judge/passes sentence on criminals; a
library+: librarian/lends out books; a forge+: blacksmith/shapes red-hot iron; an airport+: air traffic
controller/tells pilots when to land; a fire station+: firefighter/puts out fires; a zoo+: zookeeper/feeds lions and
elephants; a hairdressing salon+: hairdresser/cuts and colours hair; an observatory+: astronomer/studies the stars; a
butcher's shop+: butcher/cuts up and sells meat; -+: plumber/repairs water pipes, electrician/installs wiring,
carpenter/makes roof beams and doors, tailor/makes suits to measure, dentist/fills holes in teeth, optician/fits
glasses, journalist/writes news reports, architect/designs buildings, beekeeper/collects honey, letter carrier/delivers
the post, locksmith/opens jammed locks, fisherman/catches fish, veterinarian/treats sick animals, referee/enforces the
rules of a match, potter/shapes clay into bowls, chimney sweep/cleans soot out of chimneys""",
    "sort": """a fruit+: apple, pear, banana, plum, peach, apricot, pineapple, mango, lemon, strawberry; a vegetable+:
carrot, leek, turnip, parsnip, radish, onion, cabbage, lettuce; a musical instrument+: violin, cello, flute, trumpet,
clarinet, harp, accordion, trombone; a vehicle+: bus, lorry, motorcycle, van, tram, ambulance, bicycle; a piece of
furniture+: sofa, armchair, bookcase, stool, bunk bed; a piece of clothing+: jacket, shirt, skirt, pullover, coat,
dress, cardigan; a forest tree+: oak, birch, maple, spruce, beech, larch, fir; a flower+: tulip, daffodil, daisy,
orchid, sunflower, lily; a gemstone+: ruby, emerald, sapphire, diamond; a sport: tennis, ice hockey, badminton,
volleyball, judo, rowing, baseball, golf; a dance+: waltz, tango, foxtrot, polka; a spice: cinnamon, saffron, cumin,
nutmeg, cardamom; a cheese: Gouda, Camembert, Cheddar, Brie, mozzarella, feta; a drink: coffee, tea, milk, cider, beer;
a breed of dog+: poodle, dachshund, beagle, Labrador, greyhound, bulldog; a planet: Venus, Mars, Jupiter, Saturn,
Uranus, Neptune; a part of the body+: elbow, knee, ankle, shoulder, wrist, eyebrow""",
    "work": """Don Quixote/Miguel de Cervantes, Robinson Crusoe/Daniel Defoe, Gulliver's Travels/Jonathan Swift, Pride
and Prejudice/Jane Austen, Frankenstein/Mary Shelley, Les Misérables/Victor Hugo, Moby-Dick/Herman Melville, Jane
Eyre/Charlotte Brontë, Wuthering Heights/Emily Brontë, David Copperfield/Charles Dickens, Dracula/Bram Stoker, War and
Peace/Leo Tolstoy, Anna Karenina/Leo Tolstoy, Treasure Island/Robert Louis Stevenson, Alice's Adventures in
Wonderland/Lewis Carroll, The Trial/Franz Kafka, The Great Gatsby/F. Scott Fitzgerald, Nineteen Eighty-Four/George
Orwell, Animal Farm/George Orwell, The Hobbit/J. R. R. Tolkien, Dune/Frank Herbert, Winnie-the-Pooh/A. A. Milne, the
Mona Lisa/Leonardo da Vinci, The Starry Night/Vincent van Gogh, The Night Watch/Rembrandt, Guernica/Pablo Picasso, The
Scream/Edvard Munch, The Birth of Venus/Sandro Botticelli, The Kiss/Gustav Klimt, Nighthawks/Edward Hopper, The
Persistence of Memory/Salvador Dalí, The Milkmaid/Johannes Vermeer, The Four Seasons/Antonio Vivaldi, The Magic
Flute/Wolfgang Amadeus Mozart, Carmen/Georges Bizet, Aida/Giuseppe Verdi, Swan Lake/Pyotr Tchaikovsky, Tosca/Giacomo
Puccini, The Barber of Seville/Gioachino Rossini, The Firebird/Igor Stravinsky, Rhapsody in Blue/George Gershwin,
Boléro/Maurice Ravel""",
    "word": """hot/cold, up/down, early/late, full/empty, heavy/light, fast/slow, open/closed, wet/dry, rich/poor,
strong/weak, loud/quiet&soft, hard/soft&easy, long/short, wide/narrow, deep/shallow, sharp/blunt, thick/thin,
clean/dirty, push/pull, safe/dangerous, arrive/depart, begin/end, buy/sell, remember/forget, accept/refuse,
attack/defend, friend/enemy, entrance/exit, question/answer, summer/winter, north/south, near/far, always/never,
above/below, inside/outside, before/after, maximum/minimum, ancient/modern, polite/rude, generous/stingy,
guilty/innocent, public/private, cheap/expensive, ugly/beautiful, smooth/rough, asleep/awake, alive/dead,
success/failure, lend/borrow, sink/float, increase/decrease, import/export, vertical/horizontal, tight/loose,
visible/hidden, tame/wild, odd/even""",
}

# Relation: its table and column, then questions for the object, for the subject, and statements.
_RELATIONS = {
    "capital": """country 2#What is the capital of {s}?|{n} works for the government in the capital of {s}. Which city
is that?#Which country has {o} as its capital?|{n} has moved to {o}, the capital of a country. Which one?#{o} [is] the
capital of {s}|The capital of {s} [is] called {o}""",
    "region": """country 1#In which part of the world is {s}?|{n} is in {s}. Which part of the world is that?#Which
country is in {o}?|{n} wants to see a country in {o}. Which one fits?#{s} [is] a country in {o}|{s} [lies/does/lie] in
{o}""",
    "language": """country 3#What is the most common first language in {s}?|{n} grew up in {s}, with the language that
is most common there. Which one?#In which country is {o} the most common first language?#{o} [is] the most common first
language in {s}|Most people in {s} [grow/do/grow] up speaking {o}""",
    "currency": """country 4#What is the official currency of {s}?|{n} changes money for a trip to {s}. What is the
official currency there?#Which country uses the {o} as its official currency?#The official currency of {s} [is] the
{o}|{s} [uses/does/use] the {o} as its official currency""",
    "symbol": """element 2#What is the chemical symbol of {s}?|How would {n} write {s} in a formula?#Which element has
the symbol {o}?|{n} sees {o} in the periodic table. Which element is it?#{o} [is] the chemical symbol of {s}|In
formulas, {s} is written as {o}""",
    "number": """element 3#What is the atomic number of {s}?|{n} counts the protons in one atom of {s}. What is the
result?#Which element has the atomic number {o}?#{s} [has/does/have] the atomic number {o}|The atomic number of {s}
[is] {o}""",
    "class": """animal 1#What kind of animal is {s}?|{n} draws {s} for a biology lesson. What kind of animal is
it?#Which of these is {o}?|{n} has to name {o}. Which answer is right?#{s} [is] {o}|In biology, {s} counts as {o}""",
    "diet": """animal 2#What does {s} mainly feed on?|{n} is writing about {s}. What is its main food?#Which animal
feeds mainly on {o}?#{s} [feeds/does/feed] mainly on {o}|The food of {s} [consists/does/consist] mainly of {o}""",
    "young": """animal 3#What is the young of {s} called?|{n} sees {s} with its young. What is the young one
called?#Which animal has young called "{o}"?#The young of {s} [is] called "{o}"|"{o}" [is] the word for the young of
{s}""",
    "place": """thing 1#Where would you most likely find {s}?|{n} is looking for {s}. Where should {n} go first?#Which
of these would you most likely find in {o}?#The most likely place to find {s} [is] {o}|The best place to look for {s}
[is] {o}""",
    "use": """thing 2#What is {s} made to do?|What can {n} do with {s}?#Which of these is made to {o}?|{n} wants to
{o}. What does {n} need?#{s} [is] made to {o}|People mainly [use/do/use] {s} to {o}""",
    "workplace": """job 1#Where does {s} usually work?|{n} is {s} and is on the way to work. Where is {n} going?#Who
usually works in {o}?|{n} works in {o}. What is {n} most likely to be?#{s} usually [works/does/work] in {o}|The usual
workplace of {s} [is] {o}""",
    "task": """job 2#What does {s} do?|{n} is {s}. What does {n} do all day?#Who {o} for a living?|{n} {o} for a
living. What is the name of that job?#{s} [is] someone who {o}|By profession, {s} {o}""",
    "sort": """sort 1#What is {s}?|{n} does not know the word for {s}. What is it?#Which of these is {o}?|{n} has to
name {o}. Which answer is right?#{s} [is] {o}|You could describe {s} as {o}""",
    "maker": """work 2#Who created "{s}"?|{n} is writing about "{s}". Who was its author, painter or composer?#Which of
these works is by {o}?|{n} admires {o}. Which of these works is by that artist?#"{s}" [is] a work by {o}|"{s}" [was]
created by {o}""",
    "opposite": """word 2#What is the opposite of "{s}"?|{n} needs a word for the opposite of "{s}". Which one
fits?#Which of these words is the opposite of "{o}"?#The opposite of "{s}" [is] "{o}"|"{s}" and "{o}" [are]
opposites""",
}

NAMES = """Ada Amir Anna Ben Carla Chen Dana David Elena Emil Fatima Felix Grace Hana Hugo Ines Ivan Jamal Jonas Julia
Kofi Lena Leo Lucia Marek Maria Mei Mina Nadia Noah Olga Omar Paul Priya Ravi Rosa Sam Sara Theo Tomas Vera Yuki Zoe"""

# What people judge, with its parts; how they judge it; and how they say so.
_PARTS = """restaurant: food, service, menu; hotel: room, breakfast, lobby; phone: battery, screen, camera; laptop:
keyboard, display, speed; film: plot, acting, music; novel: beginning, style, ending; jacket: fit, lining, colour;
headset: sound, padding, microphone; museum: collection, café, audio guide; train: seating, heating, ticket price; car:
engine, steering, interior; gym: equipment, changing room, trainer; app: layout, help page, start screen; bakery:
bread, coffee, staff; game: artwork, story, tutorial; campsite: location, washroom, playground"""
OPINIONS = {
    "positive": """excellent, wonderful, superb, delightful, impressive, outstanding, brilliant, fantastic, charming,
splendid, terrific, lovely, first-rate, flawless, a joy, worth every penny, better than expected, remarkable, stunning,
really good""",
    "negative": """terrible, awful, dreadful, disappointing, poor, horrible, dismal, appalling, a letdown, frustrating,
shoddy, lousy, useless, second-rate, worse than feared, a waste of money, annoying, unacceptable, irritating, really
bad""",
    "neutral": """average, ordinary, acceptable, standard, typical, unremarkable, as expected, neither good nor bad,
adequate, all right, fair, so-so, as described, run-of-the-mill, usual for the price, passable, okay, unsurprising,
normal, middling""",
}
OPINION_FRAMES = """The {part} of this {thing} is {a}.|I find that the {part} of the {thing} is {a}.|{n} says that the
{part} of the {thing} is {a}.|If you ask {n}, the {part} of this {thing} is {a} and the {other} is {b}.|We tried the
{thing} last week: the {part} was {a}, the {other} {b}.|My view of the {thing}: the {part} is {a}.|The {thing} has been
here for a year now, and its {part} is still {a}.|About the {thing} that {n} recommended: {part} {a}, {other} {b}.|For
me, both the {part} and the {other} of this {thing} are {a}."""

# Topics: who is in the news, and what they did.
TOPICS = {
    "world": """peace envoys, UN observers, aid convoys, rebel leaders, diplomats, border guards, ministers, soldiers:
called for a ceasefire, crossed the disputed border, warned of a wider war, condemned the shelling, exchanged
prisoners, fled the coup""",
    "sports": """the home team, the champions, the striker, the goalkeeper, the sprinter, the coach, the tennis star,
the captain: won in extra time, broke the record, lost the final, won a gold medal, trained for the tournament, took
the lead in the league""",
    "business": """the carmaker, investors, the airline, the retail chain, the central bank, the insurer, exporters,
the brewery: reported profits, cut the sales forecast, agreed to the takeover, raised prices, feared inflation,
announced layoffs""",
    "science": """astronomers, biologists, geologists, physicists, marine researchers, the research team, chemists,
climate experts: studied a new species, measured the rock samples, tested the theory, observed a galaxy, examined
fossils, published new findings""",
    "technology": """the chipmaker, software developers, the search engine, the start-up, app makers, the phone brand,
engineers, the cloud provider: released an update, unveiled a faster processor, fixed a bug, patched the servers,
encrypted user data, tested the chatbot""",
    "health": """doctors, nurses, the clinic, surgeons, the vaccine maker, dietitians, midwives, pharmacists: reported
fewer infections, tested a new drug, warned of the flu season, recommended more sleep, treated allergies, advised
against salt""",
}
NEWS_FRAMES = """{who} {did} {when}.|{when}, {who} {did}.|In {place}, {who} {did} {when}.|{who} {did} {when}, said a
spokesperson in {place}.|{place}: {who} {did} {when}.|{when} in {place}, {who} {did}.|According to reports from
{place}, {who} {did}."""
WHEN = """on Monday, on Tuesday, on Wednesday, on Thursday, on Friday, on Saturday, on Sunday, this morning, last
night, yesterday, late in the evening, earlier this week, over the weekend, after a long delay, for the second time
this year"""


class Relation(NamedTuple):
    """One relation in one half of the facts: its templates, the true objects of each subject, and every object."""

    name: str
    ask: tuple[str, ...]
    find: tuple[str, ...]
    say: tuple[str, ...]
    truth: Mapping[str, tuple[str, ...]]
    objects: tuple[str, ...]


def is_held_out(entity: str) -> bool:
    """Which half an entity belongs to: a hash of its name, so that adding others moves none."""
    name = entity.removeprefix("a ").removeprefix("an ").removeprefix("the ")
    return hashlib.blake2b(name.casefold().encode(), digest_size=1).digest()[0] % 2 == 1


@cache
def split(text: str, separator: str = "|") -> tuple[str, ...]:
    """The parts of a text, whatever its line breaks."""
    return tuple(part.strip() for part in " ".join(text.split()).split(separator))


def half(words: str, held_out: bool) -> tuple[str, ...]:
    """Every other one of some words."""
    return split(words, ",")[held_out::2]


def _rows(table: str) -> Iterator[list[str]]:
    """The rows of a table: the subject, the columns of its group's head, its own columns."""
    for group in split(_TABLES[table], "; "):
        head, _, entries = group.rpartition(": ")
        for entry in entries.split(", "):
            subject, *columns = entry.split("/")
            if head.endswith("+"):
                subject = ("an " if subject[0] in "aeiou" else "a ") + subject
            yield [subject, *head.removesuffix("+").split("/"), *columns]


@cache
def relations(held_out: bool) -> dict[str, Relation]:
    """Every relation by name, cut down to the subjects of one half."""
    result = {}
    for name, text in _RELATIONS.items():
        source, ask, find, say = split(text, "#")
        table, column = source[:-2], int(source[-1])
        rows = [row for row in _rows(table) if is_held_out(row[0]) is held_out]
        truth = {row[0]: tuple(row[column].split("&")) for row in rows if row[column : column + 1] not in ([], ["-"])}
        objects = tuple(sorted({value for values in truth.values() for value in values}))
        result[name] = Relation(name, split(ask), split(find), split(say), truth, objects)
    return result


def facts(held_out: bool) -> set[tuple[str, str]]:
    """Every fact of one half as (relation, subject)."""
    return {(name, subject) for name, relation in relations(held_out).items() for subject in relation.truth}


@cache
def things(held_out: bool) -> tuple[tuple[str, list[str]], ...]:
    """What sentences of sentiment are about in one half: a thing and its parts."""
    pairs = (group.split(": ") for group in split(_PARTS, ";")[held_out::2])
    return tuple((thing, parts.split(", ")) for thing, parts in pairs)
