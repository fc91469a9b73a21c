"""A schema as applications have them: a shop that rents films. Foreign keys (two of them in a circle), views, triggers, a
full-text and a spatial index, and everyday types; with as many generated rows as a test has time for.

MySQL's comments for 8.0.3 and newer hold what MariaDB writes otherwise, and leaves out.
"""

import json
import random
from collections.abc import Iterator, Sequence
from typing import Any

_STAMP = "last_update TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP"

TABLES = {
    "language": f"""language_id TINYINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY, name CHAR(20) NOT NULL, {_STAMP}""",
    "category": f"""category_id TINYINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY, name VARCHAR(25) NOT NULL, {_STAMP}""",
    "actor": f"""actor_id SMALLINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY, first_name VARCHAR(45) NOT NULL,
        last_name VARCHAR(45) NOT NULL, {_STAMP}, KEY by_last_name (last_name)""",
    "country": f"""country_id SMALLINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY, country VARCHAR(50) NOT NULL, {_STAMP}""",
    "city": f"""city_id SMALLINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY, city VARCHAR(50) NOT NULL,
        country_id SMALLINT UNSIGNED NOT NULL, {_STAMP},
        CONSTRAINT city_country FOREIGN KEY (country_id) REFERENCES country (country_id) ON UPDATE CASCADE""",
    "address": f"""address_id SMALLINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY, address VARCHAR(50) NOT NULL,
        address2 VARCHAR(50), district VARCHAR(20) NOT NULL, city_id SMALLINT UNSIGNED NOT NULL, postal_code VARCHAR(10),
        phone VARCHAR(20) NOT NULL, location POINT NOT NULL /*!80003 SRID 4326 */, {_STAMP}, SPATIAL KEY by_location (location),
        CONSTRAINT address_city FOREIGN KEY (city_id) REFERENCES city (city_id) ON UPDATE CASCADE""",
    "film": f"""film_id SMALLINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY, title VARCHAR(128) NOT NULL, description TEXT,
        release_year YEAR, language_id TINYINT UNSIGNED NOT NULL, original_language_id TINYINT UNSIGNED,
        rental_duration TINYINT UNSIGNED NOT NULL DEFAULT 3, rental_rate DECIMAL(4,2) NOT NULL DEFAULT 4.99,
        length SMALLINT UNSIGNED, replacement_cost DECIMAL(5,2) NOT NULL DEFAULT 19.99,
        rating ENUM('G','PG','PG-13','R','NC-17') DEFAULT 'G',
        special_features SET('Trailers','Commentaries','Deleted Scenes','Behind the Scenes'), facts JSON, {_STAMP},
        KEY by_title (title),
        CONSTRAINT film_language FOREIGN KEY (language_id) REFERENCES language (language_id) ON UPDATE CASCADE,
        CONSTRAINT film_original FOREIGN KEY (original_language_id) REFERENCES language (language_id) ON UPDATE CASCADE""",
    "film_text": """film_id SMALLINT UNSIGNED NOT NULL PRIMARY KEY, title VARCHAR(255) NOT NULL, description TEXT,
        FULLTEXT KEY by_words (title, description)""",
    "film_actor": f"""actor_id SMALLINT UNSIGNED NOT NULL, film_id SMALLINT UNSIGNED NOT NULL, {_STAMP},
        PRIMARY KEY (actor_id, film_id),
        CONSTRAINT part_actor FOREIGN KEY (actor_id) REFERENCES actor (actor_id) ON UPDATE CASCADE,
        CONSTRAINT part_film FOREIGN KEY (film_id) REFERENCES film (film_id) ON UPDATE CASCADE""",
    "film_category": f"""film_id SMALLINT UNSIGNED NOT NULL, category_id TINYINT UNSIGNED NOT NULL, {_STAMP},
        PRIMARY KEY (film_id, category_id),
        CONSTRAINT kind_film FOREIGN KEY (film_id) REFERENCES film (film_id) ON UPDATE CASCADE,
        CONSTRAINT kind_category FOREIGN KEY (category_id) REFERENCES category (category_id) ON UPDATE CASCADE""",
    "staff": f"""staff_id TINYINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY, first_name VARCHAR(45) NOT NULL,
        last_name VARCHAR(45) NOT NULL, address_id SMALLINT UNSIGNED NOT NULL, picture BLOB, email VARCHAR(50),
        store_id TINYINT UNSIGNED NOT NULL, active BOOLEAN NOT NULL DEFAULT TRUE, username VARCHAR(16) NOT NULL,
        secret VARCHAR(40) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin, {_STAMP},
        CONSTRAINT staff_address FOREIGN KEY (address_id) REFERENCES address (address_id) ON UPDATE CASCADE""",
    "store": f"""store_id TINYINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY, manager_staff_id TINYINT UNSIGNED NOT NULL,
        address_id SMALLINT UNSIGNED NOT NULL, {_STAMP}, UNIQUE KEY one_manager (manager_staff_id),
        CONSTRAINT store_staff FOREIGN KEY (manager_staff_id) REFERENCES staff (staff_id) ON UPDATE CASCADE,
        CONSTRAINT store_address FOREIGN KEY (address_id) REFERENCES address (address_id) ON UPDATE CASCADE""",
    "customer": f"""customer_id SMALLINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY, store_id TINYINT UNSIGNED NOT NULL,
        first_name VARCHAR(45) NOT NULL, last_name VARCHAR(45) NOT NULL, email VARCHAR(50), address_id SMALLINT UNSIGNED NOT NULL,
        active BOOLEAN NOT NULL DEFAULT TRUE, create_date DATETIME NOT NULL, {_STAMP}, KEY by_last_name (last_name),
        CONSTRAINT customer_store FOREIGN KEY (store_id) REFERENCES store (store_id) ON UPDATE CASCADE,
        CONSTRAINT customer_address FOREIGN KEY (address_id) REFERENCES address (address_id) ON UPDATE CASCADE""",
    "inventory": f"""inventory_id MEDIUMINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY, film_id SMALLINT UNSIGNED NOT NULL,
        store_id TINYINT UNSIGNED NOT NULL, {_STAMP}, KEY by_store (store_id, film_id),
        CONSTRAINT copy_film FOREIGN KEY (film_id) REFERENCES film (film_id) ON UPDATE CASCADE,
        CONSTRAINT copy_store FOREIGN KEY (store_id) REFERENCES store (store_id) ON UPDATE CASCADE""",
    "rental": f"""rental_id INT NOT NULL AUTO_INCREMENT PRIMARY KEY, rental_date DATETIME NOT NULL,
        inventory_id MEDIUMINT UNSIGNED NOT NULL, customer_id SMALLINT UNSIGNED NOT NULL, return_date DATETIME,
        staff_id TINYINT UNSIGNED NOT NULL, {_STAMP}, UNIQUE KEY once (rental_date, inventory_id, customer_id),
        CONSTRAINT rental_copy FOREIGN KEY (inventory_id) REFERENCES inventory (inventory_id) ON UPDATE CASCADE,
        CONSTRAINT rental_customer FOREIGN KEY (customer_id) REFERENCES customer (customer_id) ON UPDATE CASCADE,
        CONSTRAINT rental_staff FOREIGN KEY (staff_id) REFERENCES staff (staff_id) ON UPDATE CASCADE""",
    "payment": f"""payment_id INT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY, customer_id SMALLINT UNSIGNED NOT NULL,
        staff_id TINYINT UNSIGNED NOT NULL, rental_id INT, amount DECIMAL(5,2) NOT NULL, payment_date DATETIME(3) NOT NULL,
        {_STAMP},
        CONSTRAINT payment_customer FOREIGN KEY (customer_id) REFERENCES customer (customer_id) ON UPDATE CASCADE,
        CONSTRAINT payment_staff FOREIGN KEY (staff_id) REFERENCES staff (staff_id) ON UPDATE CASCADE,
        CONSTRAINT payment_rental FOREIGN KEY (rental_id) REFERENCES rental (rental_id) ON UPDATE CASCADE""",
}

KEYS = {
    **{table: (f"{table}_id",) for table in TABLES},
    "film_text": ("film_id",),
    "film_actor": ("actor_id", "film_id"),
    "film_category": ("film_id", "category_id"),
}

_OTHERS = (
    "ALTER TABLE staff ADD CONSTRAINT staff_store FOREIGN KEY (store_id) REFERENCES store (store_id) ON UPDATE CASCADE",
    """CREATE TRIGGER film_added AFTER INSERT ON film FOR EACH ROW
        INSERT INTO film_text (film_id, title, description) VALUES (NEW.film_id, NEW.title, NEW.description)""",
    """CREATE TRIGGER film_changed AFTER UPDATE ON film FOR EACH ROW
        UPDATE film_text SET film_id = NEW.film_id, title = NEW.title, description = NEW.description
        WHERE film_id = OLD.film_id""",
    "CREATE TRIGGER film_gone AFTER DELETE ON film FOR EACH ROW DELETE FROM film_text WHERE film_id = OLD.film_id",
    "CREATE TRIGGER rental_paid BEFORE INSERT ON payment FOR EACH ROW SET NEW.payment_date = COALESCE(NEW.payment_date, NOW(3))",
    """CREATE VIEW film_list AS SELECT f.film_id, f.title, c.name AS category, f.rental_rate AS price, f.rating,
        GROUP_CONCAT(a.first_name, ' ', a.last_name ORDER BY a.actor_id SEPARATOR ', ') AS actors
        FROM film f LEFT JOIN film_category fc ON fc.film_id = f.film_id LEFT JOIN category c ON c.category_id = fc.category_id
        LEFT JOIN film_actor fa ON fa.film_id = f.film_id LEFT JOIN actor a ON a.actor_id = fa.actor_id
        GROUP BY f.film_id, c.name""",
    """CREATE VIEW sales AS SELECT s.store_id, SUM(p.amount) AS total FROM payment p
        JOIN staff st ON st.staff_id = p.staff_id JOIN store s ON s.store_id = st.store_id GROUP BY s.store_id""",
)

_WORDS = (
    "Ächtung",
    "Blue",
    "Carnival",
    "Dämmerung",
    "Émigré",
    "Fog",
    "Glass",
    "海",
    "Iron",
    "Jest",
    "O'Hara",
    "🎬 Night",
    "Quay",
)
_FEATURES = ("Trailers", "Commentaries", "Deleted Scenes", "Behind the Scenes")
_RATINGS = ("G", "PG", "PG-13", "R", "NC-17", None)
FILMS, ACTORS, CUSTOMERS, COPIES, RENTALS = 120, 60, 80, 300, 600


def create(connection: Any, seed: int) -> None:
    """All tables, views and triggers in the connection's database, and their rows."""
    with connection.cursor() as cursor:
        cursor.execute("SET SESSION foreign_key_checks = 0")
        for table, columns in TABLES.items():
            cursor.execute(f"CREATE TABLE {table} ({columns}) ENGINE=InnoDB CHARACTER SET utf8mb4")
        for statement in _OTHERS:
            cursor.execute(statement)
        for table, columns, rows in _rows(random.Random(seed)):
            marks = ", ".join(
                "ST_GeomFromText(%s, 4326)" if name == "location" else "%s" for name in columns.split(", ")
            )
            cursor.executemany(f"INSERT INTO {table} ({columns}) VALUES ({marks})", rows)
        cursor.execute("SET SESSION foreign_key_checks = 1")


def _rows(pick: random.Random) -> Iterator[tuple[str, str, Sequence[Sequence[Any]]]]:
    def name() -> str:
        return " ".join(pick.sample(_WORDS, 2))

    def moment() -> str:
        return f"2025-{pick.randint(1, 12):02d}-{pick.randint(1, 28):02d} {pick.randint(0, 23):02d}:{pick.randint(0, 59):02d}:07"

    yield "language", "name", [(one,) for one in ("English", "Français", "日本語", "Deutsch")]
    yield "category", "name", [(one,) for one in ("Action", "Comedy", "Drama", "Für Kinder")]
    yield "actor", "first_name, last_name", [(pick.choice(_WORDS), name()) for _ in range(ACTORS)]
    yield "country", "country", [(one,) for one in ("Österreich", "México", "日本", "Côte d'Ivoire")]
    yield "city", "city, country_id", [(name(), pick.randint(1, 4)) for _ in range(20)]
    yield (
        "address",
        "address, address2, district, city_id, postal_code, phone, location",
        [
            (
                name(),
                pick.choice((None, "")),
                "d",
                pick.randint(1, 20),
                pick.choice((None, "0123")),
                "555",
                _point(pick),
            )
            for _ in range(CUSTOMERS)
        ],
    )
    yield (
        "film",
        "title, description, release_year, language_id, original_language_id, rental_rate, length, rating, special_features,"
        " facts",
        [_film(name(), pick) for _ in range(FILMS)],
    )
    yield (
        "film_actor",
        "actor_id, film_id",
        [(actor, film) for film in range(1, FILMS + 1) for actor in pick.sample(range(1, ACTORS + 1), 4)],
    )
    yield "film_category", "film_id, category_id", [(film, pick.randint(1, 4)) for film in range(1, FILMS + 1)]
    yield (
        "staff",
        "first_name, last_name, address_id, picture, email, store_id, username, secret",
        [
            ("Jo", "Q", 1, pick.randbytes(40_000), None, 1, "jo", "x"),
            ("Al", "R", 2, None, "al@example.com", 2, "al", None),
        ],
    )
    yield "store", "manager_staff_id, address_id", [(1, 3), (2, 4)]
    yield (
        "customer",
        "store_id, first_name, last_name, email, address_id, active, create_date",
        [
            (
                pick.randint(1, 2),
                pick.choice(_WORDS),
                name(),
                f"c{number}@example.com",
                number,
                pick.random() < 0.9,
                moment(),
            )
            for number in range(1, CUSTOMERS + 1)
        ],
    )
    yield "inventory", "film_id, store_id", [(pick.randint(1, FILMS), pick.randint(1, 2)) for _ in range(COPIES)]
    yield (
        "rental",
        "rental_date, inventory_id, customer_id, return_date, staff_id",
        [
            (
                moment(),
                1 + number % COPIES,
                pick.randint(1, CUSTOMERS),
                pick.choice((None, moment())),
                pick.randint(1, 2),
            )
            for number in range(RENTALS)
        ],
    )
    yield (
        "payment",
        "customer_id, staff_id, rental_id, amount, payment_date",
        [
            (
                pick.randint(1, CUSTOMERS),
                pick.randint(1, 2),
                number,
                f"{pick.randint(0, 99999) / 100:.2f}",
                f"{moment()}.125",
            )
            for number in range(1, RENTALS + 1)
        ],
    )


def _film(title: str, pick: random.Random) -> tuple[Any, ...]:
    features = pick.choice((None, ",".join(one for one in _FEATURES if pick.random() < 0.5)))
    told = {"awards": [pick.randint(1900, 2025)], "título": title, "score": pick.randint(0, 100) / 8}
    facts = pick.choice((None, json.dumps(told)))
    return (
        title,
        pick.choice((None, title * pick.randint(1, 30))),
        pick.choice((None, pick.randint(1901, 2155))),
        pick.randint(1, 4),
        pick.choice((None, 2)),
        f"{pick.randint(0, 9999) / 100:.2f}",
        pick.choice((None, pick.randint(1, 300))),
        pick.choice(_RATINGS),
        features,
        facts,
    )


def _point(pick: random.Random) -> str:
    """Within the bounds of latitude both ways: what comes first is the server's affair."""
    return f"POINT({pick.uniform(-80, 80):.6f} {pick.uniform(-80, 80):.6f})"


CHANGES = (
    # A rental and its payment, in one transaction.
    """INSERT INTO rental (rental_date, inventory_id, customer_id, staff_id) VALUES ('2026-01-02 03:04:05', 7, 8, 2)""",
    """INSERT INTO payment (customer_id, staff_id, rental_id, amount, payment_date)
        VALUES (8, 2, LAST_INSERT_ID(), 2.50, '2026-01-02 03:04:06.789')""",
    "COMMIT",
    # Films, and by the triggers their texts.
    """INSERT INTO film (title, description, release_year, language_id, rating, special_features)
        VALUES ('The Last', 'of all', 2026, 3, 'NC-17', 'Behind the Scenes,Trailers')""",
    "UPDATE film SET title = CONCAT(title, ' II'), facts = NULL, rating = NULL, special_features = '' WHERE film_id = 5",
    "DELETE FROM film_actor WHERE film_id = 9",
    "DELETE FROM film_category WHERE film_id = 9",
    "DELETE FROM payment WHERE rental_id IN (SELECT rental_id FROM rental JOIN inventory USING (inventory_id) WHERE film_id = 9)",
    "DELETE FROM rental WHERE inventory_id IN (SELECT inventory_id FROM inventory WHERE film_id = 9)",
    "DELETE FROM inventory WHERE film_id = 9",
    "DELETE FROM film WHERE film_id = 9",
    "COMMIT",
    "UPDATE rental SET return_date = '2026-02-01 00:00:00' WHERE return_date IS NULL AND rental_id % 2 = 0",
    "UPDATE staff SET picture = REPEAT(UNHEX('00FF0D0A'), 5000), active = FALSE WHERE staff_id = 2",
    "UPDATE address SET location = ST_GeomFromText('POINT(12.5 -45.25)', 4326), address2 = NULL WHERE address_id = 3",
    "COMMIT",
)
"""What a day brings: statements, some with COMMIT."""
