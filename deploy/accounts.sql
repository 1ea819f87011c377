-- Cuentas de la base con lo justo. Cambie `cultura` por su base, `tripulantes` por su padrón, los equipos y las claves.
-- Antes, quien administra la base crea las tablas con lo que escribe: ./run_embeddings.sh --print-schema

-- La de cada noche: lee el padrón, escribe los vectores, y no borra ninguno.
CREATE USER 'embeddings'@'localhost' IDENTIFIED BY 'una clave larga';
GRANT SELECT ON cultura.tripulantes TO 'embeddings'@'localhost';
GRANT SELECT, INSERT, UPDATE ON cultura.face_embeddings TO 'embeddings'@'localhost';
GRANT SELECT, INSERT, UPDATE, DELETE ON cultura.face_photos TO 'embeddings'@'localhost';
GRANT SELECT, INSERT, UPDATE, DELETE ON cultura.face_vectors TO 'embeddings'@'localhost';
GRANT SELECT, INSERT, UPDATE, DELETE ON cultura.face_contracts TO 'embeddings'@'localhost';
GRANT SELECT, INSERT, UPDATE, DELETE ON cultura.face_attempts TO 'embeddings'@'localhost';
GRANT SELECT, INSERT, UPDATE, DELETE ON cultura.face_accepted_pairs TO 'embeddings'@'localhost';
GRANT SELECT, INSERT, UPDATE, DELETE ON cultura.face_runs TO 'embeddings'@'localhost';
GRANT SELECT ON cultura.face_schema TO 'embeddings'@'localhost';

-- Solo si usa --purge-after o --forget: la misma, y además puede borrar vectores. El entorno manda sobre .env:
-- DB_USER=embeddings_bajas DB_PASSWORD='otra clave larga' ./run_embeddings.sh --forget ID
-- Para hacerlo desde cron, dé mejor a la de arriba: GRANT DELETE ON cultura.face_embeddings TO 'embeddings'@'localhost'
CREATE USER 'embeddings_bajas'@'localhost' IDENTIFIED BY 'otra clave larga';
GRANT SELECT ON cultura.tripulantes TO 'embeddings_bajas'@'localhost';
GRANT SELECT, INSERT, UPDATE, DELETE ON cultura.face_embeddings TO 'embeddings_bajas'@'localhost';
GRANT SELECT, INSERT, UPDATE, DELETE ON cultura.face_photos TO 'embeddings_bajas'@'localhost';
GRANT SELECT, INSERT, UPDATE, DELETE ON cultura.face_vectors TO 'embeddings_bajas'@'localhost';
GRANT SELECT, INSERT, UPDATE, DELETE ON cultura.face_contracts TO 'embeddings_bajas'@'localhost';
GRANT SELECT, INSERT, UPDATE, DELETE ON cultura.face_attempts TO 'embeddings_bajas'@'localhost';
GRANT SELECT, INSERT, UPDATE, DELETE ON cultura.face_accepted_pairs TO 'embeddings_bajas'@'localhost';
GRANT SELECT, INSERT, UPDATE, DELETE ON cultura.face_runs TO 'embeddings_bajas'@'localhost';
GRANT SELECT ON cultura.face_schema TO 'embeddings_bajas'@'localhost';

-- Quien solo mira el historial, en un tablero por ejemplo: ningún nombre, ningún vector.
CREATE USER 'embeddings_mira'@'localhost' IDENTIFIED BY 'una tercera clave';
GRANT SELECT (id, started_at, ended_at, host, counts, processed, seconds, exit_code) ON cultura.face_runs TO 'embeddings_mira'@'localhost';

-- Si la base está en otro equipo: su dirección en lugar de localhost, y que exija cifrado.
-- ALTER USER 'embeddings'@'10.0.0.5' REQUIRE SSL;
