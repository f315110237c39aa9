FROM scratch
ARG VERSION
LABEL org.opencontainers.image.version=$VERSION
ENV VERSION=$VERSION
COPY tutor-backend /tutor-backend
USER 65534:65534
EXPOSE 8000
CMD ["/tutor-backend", "serve"]
