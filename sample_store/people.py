"""People who do not exist, with names of the country and addresses that reach nobody."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from random import Random

FIRST_NAMES = {
    "en": "Alice Amelia Arthur Beatrice Charlotte Daisy Edward Eleanor Emily Florence Freya George"
    " Grace Harriet Harry Henry Imogen Isla Jack James Jasmine Leo Lily Lucy Matilda Noah Oliver"
    " Oscar Phoebe Poppy Rosie Ruby Samuel Sophie Theo Thomas Toby Violet William Zara",
    "fr": "Adèle Adrien Agathe Alix Antoine Aurélie Bastien Camille Capucine Célia Chloé Clément"
    " Élise Éloïse Émile Étienne Fabien Gaspard Hélène Hugo Inès Jeanne Joséphine Jules Léa Léon"
    " Louise Lucas Maëlle Manon Margaux Mathilde Maxime Noémie Océane Raphaël Romane Solène"
    " Théo Zoé",
    "it": "Alessandra Alessio Andrea Anna Aurora Beatrice Bianca Camilla Carlo Caterina Chiara"
    " Daniele Davide Elena Elisa Emma Fabio Federica Filippo Francesca Gaia Giacomo Ginevra"
    " Giorgia Greta Ilaria Irene Lorenzo Luca Ludovica Marco Martina Matteo Nicola Noemi Pietro"
    " Riccardo Sara Sofia Tommaso",
}
LAST_NAMES = {
    "en": "Adams Allen Archer Atkinson Bailey Baker Barnes Bell Bennett Brooks Burton Carter"
    " Chapman Clarke Cole Cooper Davies Dixon Ellis Evans Fisher Fletcher Foster Gibson Graham"
    " Gray Green Hall Harper Harris Hughes Hunt Jenkins Kelly Knight Lawson Lloyd Marsh Mason"
    " Mills Morgan Murphy Newton Owen Palmer Parker Pearce Porter Reed Richards Saunders Shaw"
    " Stone Sutton Turner Walsh Webb West Wood Wright",
    "fr": "André Aubert Barbier Baron Benoît Bernard Blanchard Boucher Bourgeois Brun Caron"
    " Charpentier Chevalier Colin Collet Cordier Deschamps Dubois Dufour Dumont Dupont Durand"
    " Fabre Fontaine Fournier Garnier Gauthier Gérard Girard Guérin Guillaume Lacroix Lambert"
    " Leclerc Lefèvre Lemaire Leroy Marchand Mercier Meunier Moreau Morel Noël Olivier Perret"
    " Perrin Picard Poirier Renard Renaud Rivière Rousseau Roussel Roux Royer Simon Tessier"
    " Vasseur Vidal Vincent",
    "it": "Amato Barbieri Basile Bellini Benedetti Bernardi Bianchi Bruno Caputo Carbone Caruso"
    " Cattaneo Colombo Conte Conti Coppola Costa D'Angelo Donati Ferraro Esposito Fabbri"
    " Farina Ferrara Ferrari Ferri Fiore Fontana Galli Gallo Gentile Giordano Grassi Greco"
    " Guerra Leone Lombardi Longo Mancini Marchetti Mariani Marini Marino Martinelli Mazza"
    " Montanari Monti Moretti Negri Orlando Palumbo Parisi Pellegrini Ricci Rinaldi Rizzo Romano"
    " Rossi Russo Testa",
}
FORMS = ("{first}.{last}", "{first}_{last}", "{last}.{first}")
# Names that are set apart for examples: no mail ever arrives there.
DOMAINS = tuple(
    f"{name}.example.{end}"
    for end, names in (
        ("com", ("mail", "post", "inbox", "harbour", "orchard")),
        ("net", ("home", "fibre", "letters", "paper")),
        ("org", ("garden", "studio", "atelier")),
    )
    for name in names
)
NUMBERS = 100  # 0 is not written
STRIDE = 5_341_727  # a prime: its multiples meet every one of the combinations once


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody with an address of their own."""

    name: str
    email: str


class People:
    """As many people of a language as there are numbers, always the same for a random state."""

    def __init__(self, language: str, state: int) -> None:
        firsts = FIRST_NAMES[language].split()
        lasts = LAST_NAMES[language].split()
        self._names = [
            (f"{first} {last}", _locals(first, last)) for first, last in product(firsts, lasts)
        ]
        random = Random(f"people {language} {state}")
        random.shuffle(self._names)
        self._start = random.randrange(len(self))

    def __len__(self) -> int:
        return len(self._names) * len(FORMS) * NUMBERS * len(DOMAINS)

    def __getitem__(self, number: int) -> Person:
        """Return a person; two numbers below the length give two addresses."""
        rest = (number * STRIDE + self._start) % len(self)
        rest, form = divmod(rest, len(FORMS))
        rest, suffix = divmod(rest, NUMBERS)
        rest, domain = divmod(rest, len(DOMAINS))
        name, local_parts = self._names[rest]
        return Person(name, f"{local_parts[form]}{suffix or ''}@{DOMAINS[domain]}")


def _locals(first: str, last: str) -> Sequence[str]:
    plain = {"first": _plain(first), "last": _plain(last)}
    return [form.format(**plain) for form in FORMS]


def _plain(name: str) -> str:
    """Return a name as addresses spell it."""
    letters = unicodedata.normalize("NFKD", name)
    return "".join(letter for letter in letters if letter.isascii() and letter.isalpha()).lower()
