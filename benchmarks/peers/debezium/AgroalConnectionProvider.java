package org.hibernate.agroal.internal;

import org.hibernate.engine.jdbc.connections.internal.DriverManagerConnectionProvider;

/**
 * Debezium's JDBC sink asks for this class by name. The artifact that has it (hibernate-agroal) is not in the central
 * repository, so Hibernate's own pool takes its place: the sink holds one connection all the time, so a pool has nothing to do.
 */
public final class AgroalConnectionProvider extends DriverManagerConnectionProvider {
    private static final long serialVersionUID = 1L;
}
